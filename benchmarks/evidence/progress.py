"""Terminal output of a study: progress bars and status tables."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from benchmarks.evidence.result import Result, load_result
from benchmarks.evidence.samples import Results
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.verdict import format_value, judge_claims
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["claims_table", "show_progress", "status_table"]


class _ProgressBars:
    """Bars for runs and steps, with the time left estimated from the finished runs."""

    def __init__(self, progress: Progress, trials: Sequence[Trial]) -> None:
        self._progress = progress
        self._left = len(trials)
        self._durations: list[float] = []
        self._started: dict[Trial, float] = {}
        self._runs = progress.add_task("runs", total=len(trials), left="")
        self._now: TaskID = progress.add_task("…", total=None, left="")
        self._bars: dict[Trial, TaskID] = {}

    def log(self, text: str) -> None:
        """See ``benchmarks.evidence.runner.Listener``."""
        self._progress.update(self._now, description=text, total=None)
        self._print(text)

    def _print(self, text: str) -> None:
        """Print a line when the output is not a terminal and has no bars."""
        if not self._progress.console.is_terminal:
            self._progress.console.print(text, highlight=False)

    def run_started(self, trial: Trial, steps: int) -> None:
        """Add a bar for the run."""
        self._started[trial] = time.monotonic()
        self._progress.update(self._now, visible=False)
        self._bars[trial] = self._progress.add_task(trial.name, total=steps, left="")
        self._print(f"{trial.name}: {steps} steps")

    def step_finished(self, trial: Trial, step: int) -> None:
        """Advance the bar of the run."""
        self._progress.update(self._bars[trial], completed=step)
        if self._durations:
            now = time.monotonic()
            mean = sum(self._durations) / len(self._durations)
            started = list(self._started.values())
            total = mean * self._left - sum(min(mean, now - one) for one in started)
            seconds = total / len(started)
            self._progress.update(self._runs, left=f"about {seconds / 60:.0f} min left")

    def run_finished(self, trial: Trial, result: Result, ran: bool) -> None:
        """Remove the bar and print the result."""
        self._left -= 1
        if ran:
            self._durations.append(time.monotonic() - self._started.pop(trial))
            self._progress.remove_task(self._bars.pop(trial))
        self._progress.advance(self._runs)
        took = f"{result.seconds / 60:.1f} min" if ran else "finished earlier"
        self._progress.console.print(
            f"{trial.name}: {took}, {summary_line(result)}", highlight=False
        )


@contextlib.contextmanager
def show_progress(trials: Sequence[Trial]) -> Iterator[_ProgressBars]:
    """Show progress bars on the terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console()) as progress:
        yield _ProgressBars(progress, trials)


def summary_line(result: Result) -> str:
    """Format held-out accuracy of planning and of the other types, before → after."""
    parts = []
    for name, kinds in (("planning", {"planning"}), ("others", None)):
        indices = [
            i
            for i, one in enumerate(result.questions)
            if (one.type in kinds if kinds else one.type != "planning")
        ]
        if indices:
            ends = (result.validations[0].map.right, result.validations[-1].map.right)
            before, after = (sum(right[i] for i in indices) / len(indices) for right in ends)
            parts.append(f"{name} {before:.0%} → {after:.0%}")
    return ", ".join(parts)


_COLORS = {"supported": "green", "against": "red"}


def claims_table(study: Study, results: Results) -> Table:
    """Return a table with the verdict on each claim."""
    table = Table(title="Claims", box=box.SIMPLE_HEAD)
    for head in ("claim", "measured, 95 % interval", "outcome"):
        table.add_column(head, overflow="fold")
    for one in judge_claims(study.protocol.claims, results):
        outcome = f"[{_COLORS.get(one.outcome, 'default')}]{one.outcome}[/]"
        table.add_row(one.claim.text, escape(format_value(one)), outcome)
    return table


def status_table(study: Study) -> Table:
    """Return a table of all runs; an unreadable result is reported in its row."""
    table = Table(title=f"{study.protocol.title}, {study.budget_name}", box=box.SIMPLE_HEAD)
    for head in ("arm", "seed", "minutes", "held-out accuracy, before → after"):
        table.add_column(head, overflow="fold")
    for trial in sorted(study.trials(), key=lambda one: study.arms.index(one.arm)):
        try:
            found = load_result(study, trial, None)
            words = summary_line(found) if found else "no result"
        except (DataError, ConfigError) as error:
            found, words = None, str(error).splitlines()[0]
        minutes = f"{found.seconds / 60:.1f}" if found else ""
        table.add_row(trial.arm, str(trial.seed), minutes, words)
    return table
