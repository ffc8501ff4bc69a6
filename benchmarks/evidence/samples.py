"""The figures of a study: one value per seed and question, ready for intervals.

A figure of held-out questions has one value per question, and the questions about one map belong
together. A figure of training groups has one value per step, weighted by the step's groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from benchmarks.evidence.baselines import Scale
from benchmarks.evidence.protocol import GROUP_FIGURES, Cell
from benchmarks.evidence.result import Answers, Question, Result
from rewardmap_verl.evaluation.statistics import Sample

__all__ = ["PLANNING", "Results", "answers_sample", "cell_samples", "figure_sample"]

PLANNING: Final = "planning"
_EARLY: Final = 0.1
"""Share of a run's steps that is meant by its beginning."""


@dataclass(frozen=True)
class Results:
    """All results of a study, by arm and seed."""

    by_arm: Mapping[str, Mapping[int, Result]]
    scale: Scale | None = None
    """Baselines of the same questions."""

    @classmethod
    def of(cls, results: Iterable[Result], scale: Scale | None = None) -> Results:
        """Sort them."""
        found: dict[str, dict[int, Result]] = {}
        for one in sorted(results, key=lambda one: one.seed):
            found.setdefault(one.arm, {})[one.seed] = one
        return cls(found, scale)

    @property
    def all(self) -> list[Result]:
        """Every result."""
        return [one for seeds in self.by_arm.values() for one in seeds.values()]


def answers_sample(
    kinds: Sequence[str], places: Sequence[str], answers: Answers, figure: str
) -> Sample | None:
    """The values of a figure in the answers to all questions; ``None`` where it has none.

    Args:
        kinds: Type of each question.
        places: Map of each question.
        answers: The answers.
        figure: A question type, ``detail``, or ``all``, in which types weigh alike.
    """
    if figure == "all":
        counts = Counter(kinds)
        chosen = [(i, right, 1 / counts[kinds[i]]) for i, right in enumerate(answers.right)]
    elif figure == "detail":
        chosen = [(i, one, 1.0) for i, one in enumerate(answers.detail) if one is not None]
    else:
        chosen = [(i, answers.right[i], 1.0) for i, kind in enumerate(kinds) if kind == figure]
    if not chosen:
        return None
    return Sample(
        tuple(value for _, value, _ in chosen),
        tuple(weight for _, _, weight in chosen),
        tuple(places[i] for i, _, _ in chosen),
    )


def figure_sample(result: Result, cell: Cell, figure: str) -> Sample | None:
    """The values of a figure in one run; ``None`` where it has none."""
    if figure in GROUP_FIGURES:
        return _groups_sample(result, cell, figure)
    validation = result.validations[0 if cell.when == "before" else -1]
    answers = validation.map if cell.sees == "map" else validation.blank
    kinds, places = _columns(result.questions)
    return answers_sample(kinds, places, answers, figure)


def _columns(questions: Sequence[Question]) -> tuple[list[str], list[str]]:
    return [one.type for one in questions], [one.place for one in questions]


def _groups_sample(result: Result, cell: Cell, figure: str) -> Sample | None:
    """Planning groups, step by step; of the first steps that train planning, or of all."""
    points = [one for one in result.curve if PLANNING in one.kinds]
    if cell.when == "before":
        points = points[: max(1, ceil(_EARLY * len(result.curve)))]
    values = [(one.kinds[PLANNING][figure], one.kinds[PLANNING]["groups"]) for one in points]
    if not values:
        return None
    return Sample(
        tuple(value for value, _ in values),
        tuple(groups for _, groups in values),
        tuple(f"{result.arm} step {one.step}" for one in points),
    )


def cell_samples(results: Results, cell: Cell, figure: str) -> dict[int, Sample]:
    """By seed, the values of a figure; those of a baseline are the same for every seed."""
    if cell.baseline:
        return _baseline_samples(results, cell.baseline, figure)
    found = {
        seed: figure_sample(one, cell, figure)
        for seed, one in results.by_arm.get(cell.arm, {}).items()
    }
    return {seed: sample for seed, sample in found.items() if sample is not None}


def _baseline_samples(results: Results, name: str, figure: str) -> dict[int, Sample]:
    scale = results.scale
    if scale is None or name not in scale.baselines:
        return {}
    sample = answers_sample(scale.types, scale.places, scale.baselines[name], figure)
    seeds = {one.seed for one in results.all}
    return {} if sample is None else dict.fromkeys(sorted(seeds), sample)
