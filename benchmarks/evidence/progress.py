"""What the user sees of a study: while it runs, and how far it has come."""

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
from benchmarks.evidence.verdict import judge_claims, measured
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["claims_table", "shown", "status_table"]


class _Watcher:
    """Shows runs, steps, and minutes left as the runs so far took."""

    def __init__(self, progress: Progress, trials: Sequence[Trial]) -> None:
        self._progress = progress
        self._left = len(trials)
        self._took: list[float] = []
        self._begun: dict[Trial, float] = {}
        self._runs = progress.add_task("runs", total=len(trials), left="")
        self._now: TaskID = progress.add_task("…", total=None, left="")
        self._bars: dict[Trial, TaskID] = {}

    def say(self, text: str) -> None:
        """See :class:`benchmarks.evidence.runner.Watcher`."""
        self._progress.update(self._now, description=text, total=None)
        self._print(text)

    def _print(self, text: str) -> None:
        """Say it in a line where no bar is shown: in a log file."""
        if not self._progress.console.is_terminal:
            self._progress.console.print(text, highlight=False)

    def begin(self, trial: Trial, steps: int) -> None:
        """A run begins."""
        self._begun[trial] = time.monotonic()
        self._progress.update(self._now, visible=False)
        self._bars[trial] = self._progress.add_task(trial.name, total=steps, left="")
        self._print(f"{trial.name}: {steps} steps")

    def step(self, trial: Trial, step: int) -> None:
        """A run has come so far."""
        self._progress.update(self._bars[trial], completed=step)
        if self._took:
            now = time.monotonic()
            mean = sum(self._took) / len(self._took)
            begun = list(self._begun.values())
            whole = mean * self._left - sum(min(mean, now - one) for one in begun)
            seconds = whole / len(begun)
            self._progress.update(self._runs, left=f"about {seconds / 60:.0f} min left")

    def end(self, trial: Trial, result: Result, ran: bool) -> None:
        """A run has a result."""
        self._left -= 1
        if ran:
            self._took.append(time.monotonic() - self._begun.pop(trial))
            self._progress.remove_task(self._bars.pop(trial))
        self._progress.advance(self._runs)
        took = f"{result.seconds / 60:.1f} min" if ran else "done before"
        self._progress.console.print(f"{trial.name}: {took}, {in_short(result)}", highlight=False)


@contextlib.contextmanager
def shown(trials: Sequence[Trial]) -> Iterator[_Watcher]:
    """Show progress on the terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=Console()) as progress:
        yield _Watcher(progress, trials)


def in_short(result: Result) -> str:
    """Accuracy of planning and of all questions on held-out maps, before → after."""
    parts = []
    for name, kinds in (("planning", {"planning"}), ("others", None)):
        places = [
            i
            for i, one in enumerate(result.questions)
            if (one.type in kinds if kinds else one.type != "planning")
        ]
        if places:
            ends = (result.validations[0].map.right, result.validations[-1].map.right)
            before, after = (sum(right[i] for i in places) / len(places) for right in ends)
            parts.append(f"{name} {before:.0%} → {after:.0%}")
    return ", ".join(parts)


_COLORS = {"supported": "green", "against": "red"}


def claims_table(study: Study, results: Results) -> Table:
    """What the results say about each claim so far."""
    table = Table(title="Claims", box=box.SIMPLE_HEAD)
    for head in ("claim", "measured, 95 % interval", "outcome"):
        table.add_column(head, overflow="fold")
    for one in judge_claims(study.protocol.claims, results):
        outcome = f"[{_COLORS.get(one.outcome, 'default')}]{one.outcome}[/]"
        table.add_row(one.claim.text, escape(measured(one)), outcome)
    return table


def status_table(study: Study) -> Table:
    """Which runs have a result; a broken or foreign one is named, not raised."""
    table = Table(title=f"{study.protocol.title}, {study.budget_name}", box=box.SIMPLE_HEAD)
    for head in ("arm", "seed", "minutes", "held-out accuracy, before → after"):
        table.add_column(head, overflow="fold")
    for trial in sorted(study.trials(), key=lambda one: study.arms.index(one.arm)):
        try:
            found = load_result(study, trial, None)
            words = in_short(found) if found else "not run yet"
        except (DataError, ConfigError) as error:
            found, words = None, str(error).splitlines()[0]
        minutes = f"{found.seconds / 60:.1f}" if found else ""
        table.add_row(trial.arm, str(trial.seed), minutes, words)
    return table
