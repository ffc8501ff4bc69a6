"""Forgetting: question types that fall on held-out maps after their stage has ended.

The accuracy of a type at a validation is compared, question by question, with its best earlier
validation. The one before training counts, because a start may know a type. A fall is reported if
it exceeds ``MINIMUM`` and its confidence interval excludes zero. Questions about one map are not
independent, so the interval is that of a mean of clusters (Liang and Zeger 1986); it is widened for
the number of validations among which the best one is chosen (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import Entry

__all__ = ["MINIMUM", "Fall", "ForgettingMonitor", "all_falls"]

MINIMUM = 0.10
"""Smallest fall in accuracy that is reported."""

LEVEL = 0.99
"""Confidence level of the intervals."""

Accuracies = Mapping[int, Group]
"""Held-out groups of one validation by row."""


@dataclass(frozen=True, slots=True)
class Fall:
    """A type of a finished stage that has fallen. Accuracies are from 0 to 1."""

    stage: str
    kind: str
    best_step: int
    """Steps before the validation with the best accuracy."""
    best: float
    step: int
    accuracy: float
    """Accuracy after ``step`` steps."""
    low: float
    """Ends of the interval of ``best - accuracy``."""
    high: float

    def __str__(self) -> str:
        """Describe the fall in one sentence."""
        points = 100 * (self.best - self.accuracy)
        return (
            f"{self.kind} of stage {self.stage} fell on held-out maps from {self.best:.0%} after "
            f"step {self.best_step} to {self.accuracy:.0%} after step {self.step}: by "
            f"{points:.0f} points, {LEVEL:.0%} interval {100 * self.low:.0f} to "
            f"{100 * self.high:.0f}"
        )


class ForgettingMonitor:
    """Follows the stages and validations of a run and finds the types that fall.

    Args:
        entries: What the run recorded before it was resumed.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._stage = ""
        self._trained: dict[str, tuple[str, int]] = {}  # type → its last stage and step
        self._rounds: dict[int, dict[int, Group]] = {}  # steps before the validation → rows
        for entry in entries:
            if entry.part == "train":
                self.trained(entry.step, entry.groups)
            else:
                self.validated(entry.step, entry.groups)

    def trained(self, step: int, groups: Sequence[Group]) -> None:
        """Take in a training step. What an earlier attempt did from this step on is dropped."""
        self._rounds = {other: rows for other, rows in self._rounds.items() if other < step}
        self._trained = {kind: last for kind, last in self._trained.items() if last[1] < step}
        for group in groups:
            self._stage = group.stage
            if not group.replay:
                self._trained[group.kind] = (group.stage, step)

    def validated(self, step: int, groups: Sequence[Group]) -> int:
        """Take in a batch of a validation; return the number of its rows so far."""
        rows = self._rounds.setdefault(step, {})
        rows.update({group.row: group for group in groups})
        return len(rows)

    def falls(self) -> list[Fall]:
        """Return the types of finished stages that have fallen at the latest validation."""
        found = []
        for kind, (stage, _) in self._trained.items():
            if stage != self._stage:
                found += [fall] if (fall := find_fall(stage, kind, self._rounds)) else []
        return found


def all_falls(entries: Iterable[Entry]) -> list[Fall]:
    """Return the falls at every validation of a recorded run, in order."""
    monitor, found, pending = ForgettingMonitor(), [], False
    for entry in entries:
        if entry.part == "train":
            found += monitor.falls() if pending else []
            monitor.trained(entry.step, entry.groups)
        else:
            monitor.validated(entry.step, entry.groups)
        pending = entry.part == "val"
    return found + (monitor.falls() if pending else [])


def find_fall(stage: str, kind: str, rounds: Mapping[int, Accuracies]) -> Fall | None:
    """Compare the latest validation of a type with its best one; ``None`` without a fall."""
    accuracy = {
        step: {row: value for row, g in rows.items() if (value := _accuracy(g, kind)) is not None}
        for step, rows in sorted(rounds.items())
    }
    accuracy = {step: rows for step, rows in accuracy.items() if rows}
    if len(accuracy) < 2:
        return None
    *earlier, last = accuracy
    best = max(earlier, key=lambda step: (fmean(accuracy[step].values()), step))
    shared = sorted(accuracy[best].keys() & accuracy[last].keys())
    falls = [accuracy[best][row] - accuracy[last][row] for row in shared]
    places = [rounds[last][row].place or str(row) for row in shared]
    low, high = interval_of_mean(falls, places, len(earlier))
    if not falls or fmean(falls) <= MINIMUM or low <= 0:
        return None
    before, now = (fmean(accuracy[step][row] for row in shared) for step in (best, last))
    return Fall(stage, kind, best, before, last, now, low, high)


def _accuracy(group: Group, kind: str) -> float | None:
    return group.accuracy if group.kind == kind else None


def interval_of_mean(
    values: Sequence[float], places: Sequence[str], comparisons: int = 1
) -> tuple[float, float]:
    """Return a confidence interval of a mean whose values are correlated within places.

    Args:
        values: One value per question.
        places: The map of each question. With fewer than two maps questions are independent.
        comparisons: Number of intervals that hold together at ``LEVEL``.

    Returns:
        Both ends; infinite without at least two values.
    """
    if len(values) < 2:
        return -math.inf, math.inf
    mean = fmean(values)
    names: Sequence[object] = places if len(set(places)) > 1 else range(len(values))
    sums: dict[object, float] = {}
    for name, value in zip(names, values, strict=True):
        sums[name] = sums.get(name, 0.0) + value - mean
    correction = len(sums) / (len(sums) - 1)
    error = math.sqrt(correction * sum(one * one for one in sums.values())) / len(values)
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / (2 * max(comparisons, 1)))
    reach = (z + (z**3 + z) / (4 * (len(sums) - 1))) * error  # Student's t, first-order expansion
    return mean - reach, mean + reach
