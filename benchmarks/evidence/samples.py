"""The metrics of a study as samples: one value per seed and question.

A metric of held-out questions has one value per question, clustered by map. A metric of training
groups has one value per step, weighted by the number of groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from benchmarks.evidence.baselines import Scale
from benchmarks.evidence.protocol import GROUP_METRICS, Cell
from benchmarks.evidence.result import Answers, Question, Result
from rewardmap_verl.evaluation.statistics import Sample

__all__ = [
    "NO_SURPLUS",
    "PERCEPTION",
    "PLANNING",
    "TRIPS",
    "Results",
    "answers_sample",
    "cell_samples",
    "metric_sample",
]

PLANNING: Final = "planning"
PERCEPTION: Final = "perception"
NO_SURPLUS: Final = "no_surplus"
"""Metric of planning answers: right and without a surplus leg, which only full detail means."""
_FULL_DETAIL: Final = 10
TRIPS: Final = {"direct": range(1), "one transfer": range(1, 2), "more transfers": range(2, 9)}
"""Groups of planning questions, by the transfers of the shortest route."""
_EARLY: Final = 0.1
"""Share of the steps that counts as the beginning of a run."""


@dataclass(frozen=True)
class Results:
    """All results of a study, by arm and seed."""

    by_arm: Mapping[str, Mapping[int, Result]]
    scale: Scale | None = None
    """Baselines on the same questions."""

    @classmethod
    def of(cls, results: Iterable[Result], scale: Scale | None = None) -> Results:
        """Group results by arm, in order of their seeds."""
        found: dict[str, dict[int, Result]] = {}
        for one in sorted(results, key=lambda one: one.seed):
            found.setdefault(one.arm, {})[one.seed] = one
        return cls(found, scale)

    @property
    def all(self) -> list[Result]:
        """Every result."""
        return [one for seeds in self.by_arm.values() for one in seeds.values()]


def answers_sample(
    kinds: Sequence[str], places: Sequence[str], answers: Answers, metric: str
) -> Sample | None:
    """Return the values of a metric over all questions; ``None`` if it has none.

    Args:
        kinds: Type of each question.
        places: Map of each question.
        answers: The answers.
        metric: A question type, ``detail``, ``NO_SURPLUS``, or ``all`` and ``perception``, which
            weight types equally; perception is every type but planning.
    """
    if metric in ("all", PERCEPTION):
        counts = Counter(kinds)
        chosen = [
            (i, right, 1 / counts[kinds[i]])
            for i, right in enumerate(answers.right)
            if metric == "all" or kinds[i] != PLANNING
        ]
    elif metric == NO_SURPLUS:
        chosen = [
            (i, float(answers.right[i] == 1 and one == _FULL_DETAIL), 1.0)
            for i, one in enumerate(answers.detail)
            if one is not None
        ]
    elif metric == "detail":
        chosen = [(i, one, 1.0) for i, one in enumerate(answers.detail) if one is not None]
    else:
        chosen = [(i, answers.right[i], 1.0) for i, kind in enumerate(kinds) if kind == metric]
    if not chosen:
        return None
    return Sample(
        tuple(value for _, value, _ in chosen),
        tuple(weight for _, _, weight in chosen),
        tuple(places[i] for i, _, _ in chosen),
    )


def metric_sample(result: Result, cell: Cell, metric: str) -> Sample | None:
    """Return the values of a metric in one run; ``None`` if it has none.

    Args:
        result: The run.
        cell: Time and image.
        metric: As for ``answers_sample``, or a group of ``TRIPS``, or a metric of training groups.
    """
    if metric in GROUP_METRICS:
        return _groups_sample(result, cell, metric)
    validation = result.validations[0 if cell.when == "before" else -1]
    answers = validation.map if cell.image == "map" else validation.blank
    kinds = [_kind(asked, metric) for asked in result.questions]
    places = [asked.place for asked in result.questions]
    return answers_sample(kinds, places, answers, metric)


def _kind(asked: Question, metric: str) -> str:
    """Return the type of a question, or the given group of trips if it belongs to that."""
    if metric in TRIPS and asked.type == PLANNING and asked.transfers in TRIPS[metric]:
        return metric
    return asked.type


def _groups_sample(result: Result, cell: Cell, metric: str) -> Sample | None:
    """Return a metric of planning groups over the first steps that train planning, or over all."""
    points = [one for one in result.curve if PLANNING in one.kinds]
    if cell.when == "before":
        points = points[: max(1, ceil(_EARLY * len(result.curve)))]
    values = [(one.kinds[PLANNING][metric], one.kinds[PLANNING]["groups"]) for one in points]
    if not values:
        return None
    return Sample(
        tuple(value for value, _ in values),
        tuple(groups for _, groups in values),
        tuple(f"{result.arm} step {one.step}" for one in points),
    )


def cell_samples(results: Results, cell: Cell, metric: str) -> dict[int, Sample]:
    """Return the values of a metric by seed; a baseline has the same values for every seed."""
    if cell.baseline:
        return _baseline_samples(results, cell.baseline, metric)
    found = {
        seed: metric_sample(one, cell, metric)
        for seed, one in results.by_arm.get(cell.arm, {}).items()
    }
    return {seed: sample for seed, sample in found.items() if sample is not None}


def _baseline_samples(results: Results, name: str, metric: str) -> dict[int, Sample]:
    scale = results.scale
    if scale is None or name not in scale.baselines:
        return {}
    sample = answers_sample(scale.types, scale.places, scale.baselines[name], metric)
    seeds = {one.seed for one in results.all}
    return {} if sample is None else dict.fromkeys(sorted(seeds), sample)
