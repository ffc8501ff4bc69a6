"""One line for each training step and a small table for each validation, from the run's record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, median

from rewardmap_verl.curriculum.groups import (
    EVERY_TYPE,
    Group,
    group_metrics,
    without_repeats,
)
from rewardmap_verl.curriculum.record import Entry

__all__ = ["StepLines", "clock", "seconds_text"]

_RECENT = 20
"""Steps whose median duration predicts the remaining time."""


PACE = 15.0
"""Seconds between two lines, if steps are shorter."""


class StepLines:
    """Turns the entries of a record into the lines of the terminal.

    Args:
        steps: Training steps of the whole run.
        stages: Names of its stages, for the width of their column.
        every: Steps that share a line, which has their means; ``None`` prints a line for each step
            that takes ``PACE`` seconds, and fewer lines for shorter steps.
    """

    def __init__(self, steps: int, stages: Sequence[str] = (), every: int | None = None) -> None:
        self.steps = steps
        self.step = 0
        """Last training step whose answers are there."""
        self.stage = ""
        self._width = max(map(len, stages), default=0)
        self._every = every
        self._pending: list[Entry] = []
        self._printed_at = float("-inf")
        self._last_time: float | None = None
        self._durations: list[float] = []
        self._validation: dict[int, Group] = {}
        self._validated_step = 0
        self._first: dict[str, float] = {}

    def add(self, entry: Entry) -> Iterator[str]:
        """Yield the lines that an entry adds."""
        if entry.part == "val":
            self._validation.update({group.row: group for group in entry.groups})
            self._validated_step = entry.step
        else:
            yield from self.validation()
            if self._pending and stage_of(entry) != self.stage:
                yield self._step_line()
            self._count(entry)
            if self._is_due(entry.time):
                yield self._step_line()
                self._printed_at = entry.time
        self._last_time = entry.time

    @property
    def remaining(self) -> float | None:
        """Seconds until the last step; ``None`` before two steps."""
        recent = self._durations[-_RECENT:]
        return median(recent) * (self.steps - self.step) if recent else None

    def validation(self) -> Iterator[str]:
        """Yield the table of the validation that has just ended, if there is one."""
        groups = list(self._validation.values())
        self._validation = {}
        if not groups:
            return
        accuracy = accuracy_by_type(groups)
        yield f"validation after {self._validated_step} steps, {len(groups)} questions"
        rows = {"accuracy": accuracy, "at first": self._first} if self._first else {}
        yield from _table(rows or {"accuracy": accuracy})
        self._first = self._first or accuracy

    def _count(self, entry: Entry) -> None:
        self.step = entry.step
        self.stage = stage_of(entry)
        self._pending.append(entry)
        if self._last_time is not None:
            self._durations.append(entry.time - self._last_time)

    def _is_due(self, time: float) -> bool:
        """Return whether the last step ends a line."""
        if self.step == self.steps:
            return True
        if self._every is not None:
            return self.step % self._every == 0
        return time - self._printed_at >= PACE

    def _step_line(self) -> str:
        parts = [f"{self.step:>{len(str(self.steps))}}/{self.steps} {self.stage:<{self._width}}"]
        parts += _metrics([group for entry in self._pending for group in entry.groups])
        recent = self._durations[-len(self._pending) :]
        self._pending = []
        if recent:
            parts.append(f"{seconds_text(fmean(recent)):>6}")
        if self.remaining is not None:
            parts.append(f"eta {clock(self.remaining)}")
        return "  ".join(parts)


def stage_of(entry: Entry) -> str:
    """Return the stage of a training step."""
    return entry.groups[0].stage if entry.groups else ""


def accuracy_by_type(groups: Sequence[Group]) -> dict[str, float]:
    """Return the accuracy of each question type, and of all."""
    kinds = sorted({group.kind for group in groups})
    members = {kind: [one for one in groups if one.kind == kind] for kind in kinds}
    members |= {EVERY_TYPE: list(groups)} if len(kinds) > 1 else {}
    found = {kind: group_metrics(some).get("acc") for kind, some in members.items()}
    return {kind: value for kind, value in found.items() if value is not None}


def clock(seconds: float) -> str:
    """Return a duration as ``1:40`` or ``2:01:40``."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def seconds_text(seconds: float) -> str:
    """Return a duration as ``4.1 s`` or ``130 s``."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def _metrics(groups: Sequence[Group]) -> Iterator[str]:
    """Yield reward, accuracy and share of groups with signal, as far as there are any."""
    values = group_metrics(without_repeats(groups))
    if "score" in values:
        yield f"reward {values['score']:5.2f}"
    if "acc" in values:
        yield f"acc {values['acc']:4.0%}"
    if "no_signal" in values:
        yield f"signal {1 - values['no_signal']:4.0%}"


def _table(rows: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield a table with one column for each question type."""
    columns = list(next(iter(rows.values())))
    label = max(map(len, rows))
    yield "  ".join([" " * (label + 2), *(f"{name:>4}" for name in columns)])
    for title, values in rows.items():
        cells = [f"{values[n]:>{max(4, len(n))}.0%}" if n in values else "–" for n in columns]
        yield "  ".join([f"  {title:<{label}}", *cells])
