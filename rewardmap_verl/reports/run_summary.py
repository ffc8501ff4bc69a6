"""Summary tables of a run, from its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Group as Rows
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME
from rewardmap_verl.curriculum.groups import (
    EVERY_TYPE,
    Group,
    group_metrics,
    metrics_by_type,
    without_repeats,
)
from rewardmap_verl.curriculum.record import RECORD_NAME, Entry, read_record
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.statistics import Interval
from rewardmap_verl.reports.conclusions import conclusions
from rewardmap_verl.reports.held_out import (
    HeldOut,
    held_out,
    read_baselines,
    validation_rounds,
)
from rewardmap_verl.reports.learning_curve import visits
from rewardmap_verl.reports.runs import read_metadata

__all__ = ["StageSummary", "ValidationSummary", "find_record", "summarize", "summary_table"]

Metrics = dict[str, float]


@dataclass(frozen=True, slots=True)
class StageSummary:
    """Training metrics of one question type in one stage."""

    stage: str
    kind: str
    steps: int
    """Training steps with this type."""
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class ValidationSummary:
    """Validation metrics of one question type, before the first and after the last step."""

    kind: str
    first_step: int
    last_step: int
    before: Metrics
    after: Metrics


@dataclass(frozen=True, slots=True)
class RunSummary:
    """Metrics of a run."""

    steps: int
    """Recorded training steps."""
    step_seconds: float | None
    """Median time from one step to the next; ``None`` for a single step."""
    visits: tuple[tuple[str, int, int], ...]
    """Visited stages in order: name, first step, last step."""
    stages: tuple[StageSummary, ...]
    validation: tuple[ValidationSummary, ...]
    held_out: tuple[HeldOut, ...] = ()
    """Accuracy by type with intervals and baselines; only in ``summary_of``."""

    @property
    def conclusions(self) -> list[str]:
        """What was learned, what was not, and what to do next, in sentences."""
        return conclusions(self.held_out, _no_signal(self.stages))


def _no_signal(lines: Sequence[StageSummary]) -> dict[str, float]:
    """Return the share of groups without signal of each type over all stages."""
    shares: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if "no_signal" in line.metrics:
            pair = (line.metrics["no_signal"], line.metrics["groups"])
            shares.setdefault(line.kind, []).append(pair)
    return {
        kind: sum(share * groups for share, groups in pairs) / sum(groups for _, groups in pairs)
        for kind, pairs in shares.items()
    }


def find_record(folder: Path) -> Path:
    """Return the path of a run's record, in its folder or anywhere below.

    Raises:
        DataError: There is no record, or several.
    """
    if folder.is_file():
        return folder
    if (folder / RECORD_NAME).is_file():
        return folder / RECORD_NAME
    found = sorted(folder.rglob(RECORD_NAME)) if folder.is_dir() else []
    if len(found) == 1:
        return found[0]
    raise DataError(
        folder,
        found=[str(path) for path in found] if found else f"no {RECORD_NAME}",
        hint="Give the folder of one run's checkpoints (trainer.default_local_dir).",
    )


def summarize(entries: Iterable[Entry]) -> RunSummary:
    """Summarize a record's entries by stage and type."""
    entries = list(entries)
    steps = {entry.step: entry.groups for entry in entries if entry.part == "train"}
    return RunSummary(
        steps=len(steps),
        step_seconds=step_seconds(entries),
        visits=tuple(visits(entries)),
        stages=tuple(_stage_lines(steps)),
        validation=tuple(_validation_lines(entries)),
    )


def held_out_accuracy(summary: RunSummary) -> list[float]:
    """Return the accuracy on all held-out questions at the first and the last validation."""
    for line in summary.validation[-1:]:
        rounds = [line.before, line.after][line.first_step == line.last_step :]
        return [metrics["acc"] for metrics in rounds if "acc" in metrics]
    return []


def step_seconds(entries: Sequence[Entry]) -> float | None:
    """Return the median time between training steps in seconds, which ignores interruptions."""
    times = {entry.step: entry.time for entry in entries if entry.part == "train"}
    gaps = [times[step + 1] - begun for step, begun in times.items() if step + 1 in times]
    return median(gaps) if gaps else None


def summary_table(summary: RunSummary, types: bool = True) -> RenderableType:
    """Return the summary as tables for the terminal.

    Args:
        summary: The summary.
        types: Whether the training table has a row for each type, or one for each stage.
    """
    parts: list[RenderableType] = [_training_table(summary, types)]
    if len(summary.visits) > len({stage for stage, _, _ in summary.visits}):
        path = " → ".join(f"{stage} {first}-{last}" for stage, first, last in summary.visits)
        parts.append(Text(f"Visited stages, with their steps: {path}"))
    if summary.held_out:
        parts += [_held_out_table(summary), *map(Text, summary.conclusions)]
    return Rows(*parts)


def _stage_lines(steps: dict[int, tuple[Group, ...]]) -> Iterable[StageSummary]:
    due = [(step, group) for step, groups in steps.items() for group in without_repeats(groups)]
    for stage, kind, values in metrics_by_type([group for _, group in due]):
        occurred = {
            step for step, group in due if group.stage == stage and kind in (group.kind, EVERY_TYPE)
        }
        yield StageSummary(stage, kind, len(occurred), values)


def _validation_lines(entries: Sequence[Entry]) -> Iterable[ValidationSummary]:
    rounds = validation_rounds(entries)
    if not rounds:
        return
    first, last = min(rounds), max(rounds)
    kinds = dict.fromkeys(group.kind for _, group in sorted(rounds[last].items()))
    for kind in [*kinds, EVERY_TYPE]:
        before, after = (
            group_metrics([g for g in rounds[step].values() if kind in (g.kind, EVERY_TYPE)])
            for step in (first, last)
        )
        yield ValidationSummary(kind, first, last, before, after)


_COMPACT: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": 0}

_COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("reward", "score", "{:.2f}"),
    ("format", "format", "{:.2f}"),
    ("right", "correctness", "{:.2f}"),
    ("detail", "detail", "{:.2f}"),
    ("acc.", "acc", "{:.0%}"),
    ("unread", "unreadable", "{:.0%}"),
    ("no\nsignal", "no_signal", "{:.0%}"),
    ("…if\nbinary", "no_signal_binary", "{:.0%}"),
)


def _training_table(summary: RunSummary, types: bool) -> Table:
    pace = f", {summary.step_seconds:.1f} s each" if summary.step_seconds else ""
    table = Table(
        title=f"Training: {summary.steps} steps{pace}",
        caption="reward and its parts: mean over answers. no signal: groups whose answers\n"
        "all have the same reward, with this reward and with correctness alone.",
        **_COMPACT,
    )
    table.add_column("stage")
    for name in ("steps", "groups", *(title for title, _, _ in _COLUMNS)):
        table.add_column(name, justify="right")
    shown = ""
    for line in summary.stages if types else _whole_stages(summary.stages):
        if types and line.stage != shown:
            table.add_row(Text(line.stage), style="bold")
            shown = line.stage
        table.add_row(
            Text(f"  {line.kind}" if types else line.stage),
            str(line.steps),
            f"{line.metrics['groups']:.0f}",
            *(_cell(line.metrics, name, form) for _, name, form in _COLUMNS),
        )
    return table


def _whole_stages(lines: Sequence[StageSummary]) -> Iterable[StageSummary]:
    """Return one line for each stage: that of all its types, or of its only type."""
    return {line.stage: line for line in lines}.values()  # the line of all types comes last


def _held_out_table(summary: RunSummary) -> Table:
    first, last = summary.validation[0].first_step, summary.validation[0].last_step
    when = f"after {last} steps" if first == last else f"after {first} and after {last} steps"
    table = Table(
        title=f"Accuracy on held-out maps: {when}",
        caption="n: questions. chance: random answers. majority: the most frequent answer\n"
        "of the training split; for planning, one ride on the longest line at the\n"
        "departure, which needs the network. In parentheses: 95% intervals.",
        **_COMPACT,
    )
    table.add_column("type")
    columns = ["after"] if first == last else ["before", "after", "change"]
    for name in ("n", "chance", "majority", *columns):
        table.add_column(name, justify="right", no_wrap=True)
    for line in summary.held_out:
        found = (line.after,) if first == last else (line.before, line.after)
        change = [] if first == last else [_points(line.change)]
        table.add_row(
            Text(_indented(line.kind)),
            str(line.questions),
            _percent(line.chance),
            _percent(line.majority),
            *map(_with_interval, found),
            *change,
        )
    return table


def _indented(kind: str) -> str:
    """Return ``planning, direct`` as a part of the row above it."""
    whole, _, part = kind.partition(", ")
    return f"  {part}" if part else whole


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _with_interval(found: Interval | None) -> str:
    """Return an accuracy as ``48% (40-56)``."""
    if found is None:
        return "–"
    return f"{found.mean:.0%} ({100 * found.low:.0f}-{100 * found.high:.0f})"


def _points(found: Interval | None) -> str:
    """Return a difference in percentage points as ``+8 (-1 to +17)``."""
    if found is None:
        return "–"
    low, mean, high = (f"{100 * value:+.0f}" for value in (found.low, found.mean, found.high))
    return f"{mean} ({low} to {high})"


def _cell(values: Metrics, name: str, form: str) -> str:
    return form.format(values[name]) if name in values else "–"


def summary_of(folder: Path) -> RunSummary:
    """Read and summarize the run in a folder, with intervals and baselines.

    Raises:
        DataError: There is no record of a run.
    """
    record = find_record(folder)
    entries = read_record(record)
    metadata = record.parent / METADATA_NAME
    config = read_metadata(metadata if metadata.is_file() else None)
    compared = held_out(entries, read_baselines(config))
    return replace(summarize(entries), held_out=tuple(compared))
