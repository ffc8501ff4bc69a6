"""When the detail reward and the curriculum help: their gains over the baseline, by condition.

A condition is a start model or a set of training settings. Within a condition, trips are grouped by
their transfers: before training, trips with more of them are right more rarely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from benchmarks.evidence.protocol import Cell
from benchmarks.evidence.samples import (
    NO_SURPLUS,
    PERCEPTION,
    PLANNING,
    TRIPS,
    Results,
    cell_samples,
)
from benchmarks.evidence.verdict import MIN_SEEDS
from rewardmap_verl.evaluation.statistics import Sample, SeedInterval, seed_difference

__all__ = ["GAINS", "Gains", "all_gains", "gains_table", "perception_table"]

_BASELINE: Final = "rl_baseline"
GAINS: Final = {"detail": "reward_only", "curriculum": "curriculum_only", "both": "rewardmap"}
"""What is added to the baseline, and the arm that has it."""

_ARMS: Final = (_BASELINE, *GAINS.values())


@dataclass(frozen=True, slots=True)
class Gains:
    """What each addition to the baseline gains on one group of trips."""

    condition: str
    trips: str
    """``planning`` for all trips, ``no_surplus`` for all trips without credit for answers with a
    surplus leg, or a group of ``TRIPS``."""
    before: float
    """Accuracy before training: the mean over all runs, which share the start model."""
    baseline: float
    """Accuracy of the baseline after training: the mean over its seeds."""
    differences: Mapping[str, SeedInterval]
    """Accuracy after training minus that of the baseline, by key of ``GAINS``; additions with
    fewer than ``MIN_SEEDS`` seeds are missing."""


def all_gains(conditions: Mapping[str, Results]) -> list[Gains]:
    """Return the gains by condition and group of trips.

    Groups whose baseline has fewer than ``MIN_SEEDS`` seeds are left out.

    Args:
        conditions: Results by condition.
    """
    found = (
        _gains(condition, results, trips)
        for condition, results in conditions.items()
        for trips in (PLANNING, NO_SURPLUS, *TRIPS)
    )
    return [one for one in found if one is not None]


def _gains(condition: str, results: Results, trips: str) -> Gains | None:
    baseline = cell_samples(results, Cell(arm=_BASELINE), trips)
    if len(baseline) < MIN_SEEDS:
        return None
    differences = {
        addition: _difference(
            cell_samples(results, Cell(arm=arm), trips), baseline, f"{condition}/{trips}/{addition}"
        )
        for addition, arm in GAINS.items()
    }
    before = [
        sample.mean
        for arm in _ARMS
        for sample in cell_samples(results, Cell(arm=arm, when="before"), trips).values()
    ]
    return Gains(
        condition,
        trips,
        fmean(before),
        fmean(sample.mean for sample in baseline.values()),
        {addition: found for addition, found in differences.items() if found is not None},
    )


def gains_table(found: Sequence[Gains], conditions: Mapping[str, Results]) -> str:
    """Return starts, baselines and gains in Markdown."""
    heads = [
        "condition",
        "trips",
        "before",
        "no signal",
        "baseline, after",
        *(f"+ {name}" for name in GAINS),
    ]
    lines = [_line(heads), "|---|---|" + "---:|" * (len(heads) - 2)]
    for one in found:
        cells = [_points(one.differences.get(name)) for name in GAINS]
        silent = _silent(conditions[one.condition]) if one.trips == PLANNING else ""
        ends = [f"{100 * end:.0f}" for end in (one.before, one.baseline)]
        trips = "no surplus leg" if one.trips == NO_SURPLUS else one.trips
        lines.append(_line([one.condition, trips, ends[0], silent, ends[1], *cells]))
    return "\n".join([*lines, ""])


def perception_table(conditions: Mapping[str, Results]) -> str:
    """Return how training changes perception, by condition and arm, in Markdown."""
    lines = [_line(["condition", *(f"`{arm}`" for arm in _ARMS)]), "|---|" + "---:|" * len(_ARMS)]
    for condition, results in conditions.items():
        changes = [
            _difference(
                cell_samples(results, Cell(arm=arm), PERCEPTION),
                cell_samples(results, Cell(arm=arm, when="before"), PERCEPTION),
                f"{condition}/{arm}/perception",
            )
            for arm in _ARMS
        ]
        if any(changes):
            lines.append(_line([condition, *map(_points, changes)]))
    return "\n".join([*lines, ""])


def _difference(
    first: Mapping[int, Sample], second: Mapping[int, Sample], name: str
) -> SeedInterval | None:
    found = seed_difference(first, second, name)
    return None if found is None or found.seeds < MIN_SEEDS else found


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _points(spread: SeedInterval | None) -> str:
    """Format a difference in percentage points with its interval."""
    if spread is None:
        return "–"
    return f"{100 * spread.mean:+.0f} [{100 * spread.low:+.0f}, {100 * spread.high:+.0f}]"


def _silent(results: Results) -> str:
    """Format the share of planning groups without signal at first, with a binary reward."""
    cell = Cell(arm=_BASELINE, when="before")
    found = cell_samples(results, cell, "no_signal_binary").values()
    return f"{100 * fmean(one.mean for one in found):.0f}" if found else "–"
