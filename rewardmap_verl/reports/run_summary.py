"""Summary tables of a run, from its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.console import Group as Rows
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from rewardmap_verl.curriculum.groups import (
    EVERY_TYPE,
    Group,
    group_metrics,
    metrics_by_type,
    without_repeats,
)
from rewardmap_verl.curriculum.record import RECORD_NAME, Entry, read_record
from rewardmap_verl.errors import DataError

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
        visits=tuple(_visits(steps)),
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


def summary_table(summary: RunSummary) -> RenderableType:
    """Return the summary as tables for the terminal."""
    parts: list[RenderableType] = [_training_table(summary)]
    if len(summary.visits) > len({stage for stage, _, _ in summary.visits}):
        path = " → ".join(f"{stage} {first}-{last}" for stage, first, last in summary.visits)
        parts.append(Text(f"Visited stages, with their steps: {path}"))
    if summary.validation:
        parts.append(_validation_table(summary.validation))
    return Rows(*parts)


def _visits(steps: dict[int, tuple[Group, ...]]) -> Iterable[tuple[str, int, int]]:
    """Yield the visited stages in order: name, first step, last step."""
    trained = [(groups[0].stage, step) for step, groups in sorted(steps.items()) if groups]
    for stage, visit in groupby(trained, key=itemgetter(0)):
        numbers = [step for _, step in visit]
        yield stage, numbers[0], numbers[-1]


def _stage_lines(steps: dict[int, tuple[Group, ...]]) -> Iterable[StageSummary]:
    due = [(step, group) for step, groups in steps.items() for group in without_repeats(groups)]
    for stage, kind, values in metrics_by_type([group for _, group in due]):
        occurred = {
            step for step, group in due if group.stage == stage and kind in (group.kind, EVERY_TYPE)
        }
        yield StageSummary(stage, kind, len(occurred), values)


def _validation_lines(entries: Sequence[Entry]) -> Iterable[ValidationSummary]:
    rounds: dict[int, dict[int, Group]] = {}
    for entry in entries:
        if entry.part == "val":
            # A resumed run validates its first step again; the later result counts.
            rounds.setdefault(entry.step, {}).update({group.row: group for group in entry.groups})
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

_ONCE = ["acc.", "reward"]

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


def _training_table(summary: RunSummary) -> Table:
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
    for line in summary.stages:
        if line.stage != shown:
            table.add_row(Text(line.stage), style="bold")
            shown = line.stage
        table.add_row(
            Text(f"  {line.kind}"),
            str(line.steps),
            f"{line.metrics['groups']:.0f}",
            *(_cell(line.metrics, name, form) for _, name, form in _COLUMNS),
        )
    return table


def _validation_table(lines: Sequence[ValidationSummary]) -> Table:
    first, last = lines[0].first_step, lines[0].last_step
    twice = first != last
    when = f"after {first} and after {last} steps" if twice else f"after {last} steps"
    table = Table(title=f"Validation: {when}", **_COMPACT)
    table.add_column("type")
    for name in ("questions", *(["acc.", "→ acc.", "reward", "→ reward"] if twice else _ONCE)):
        table.add_column(name, justify="right")
    for line in lines:
        rounds = (line.before, line.after) if twice else (line.after,)
        table.add_row(
            Text(line.kind),
            f"{line.after['groups']:.0f}",
            *(_cell(values, "acc", "{:.0%}") for values in rounds),
            *(_cell(values, "score", "{:.2f}") for values in rounds),
        )
    return table


def _cell(values: Metrics, name: str, form: str) -> str:
    return form.format(values[name]) if name in values else "–"


def summary_of(folder: Path) -> RunSummary:
    """Read and summarize the run in a folder.

    Raises:
        DataError: There is no record of a run.
    """
    return summarize(read_record(find_record(folder)))
