"""The parts of a reward and how they combine. Independent of transit maps.

``R = W · (format + correctness + α · detail)``

A task returns a ``Judgment`` of an answer; ``combine`` converts it to a ``Score``.
The detail reward is a list of ``CreditItem``, each with its worth and the credit earned.
docs/add-a-task.md shows a complete task in one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["CreditItem", "Judgment", "Score", "combine", "detail_value", "form_share"]


@dataclass(frozen=True, slots=True)
class CreditItem:
    """One component of the detail reward."""

    name: str
    credit: float
    """Credit earned; negative for a deduction."""
    worth: float
    """Maximum credit; 0 for a deduction."""
    reason: str = ""
    """Explanation for the user."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """A task's verdict on one answer."""

    readable: bool
    correct: bool
    form: float
    """Share of the format reward, 0 to 1."""
    detail: float | None
    """0 to ``detail_cap``; ``None`` if the task has no partial credit."""
    weight: float = 1.0
    """Weight W of the question, above 0."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Additional training metrics, with the same keys for every answer."""


@dataclass(frozen=True, slots=True)
class Score:
    """The reward of one answer and its parts, before they are multiplied by W and α."""

    score: float
    """The total reward R."""
    acc: float
    """1 for a correct answer, else 0."""
    format: float
    correctness: float
    detail: float | None
    weight: float
    readable: float
    """1 if an answer could be read, else 0."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, float | None]:
        """Return all values in a flat dict with the same keys for every answer of a task."""
        return {
            "score": self.score,
            "acc": self.acc,
            "format": self.format,
            "correctness": self.correctness,
            "detail": self.detail,
            "weight": self.weight,
            "readable": self.readable,
            **self.metrics,
        }


def form_share(faults: int, kinds: int, config: RewardConfig) -> float:
    """Return the share of the format reward for a readable answer.

    The share is 1 for the exact format and falls linearly to ``format_floor`` with the number of
    different faults. Kinds of faults are counted, not occurrences, so well-formed padding cannot
    dilute a fault.

    Args:
        faults: Number of different faults in the answer.
        kinds: Number of different faults that exist, at least 1.
        config: Settings of the reward.
    """
    return 1.0 - (1.0 - config.format_floor) * min(faults, kinds) / kinds


def detail_value(items: Iterable[CreditItem], right: bool, config: RewardConfig) -> float:
    """Scale the credit of a readable answer so that full credit equals ``detail_cap``.

    The result is at least ``detail_floor``, and at most ``wrong_cap`` for a wrong answer.
    """
    gathered = tuple(items)
    worth = sum(item.worth for item in gathered)
    credit = sum(item.credit for item in gathered)
    highest = config.detail_cap if right else config.wrong_cap
    return min(max(config.detail_cap * credit / worth, config.detail_floor), highest)


def combine(judgment: Judgment, config: RewardConfig) -> Score:
    """Compute R from a judgment (RewardMap, arXiv 2510.02240, section 4.2)."""
    form = config.format_value * judgment.form if judgment.readable else 0.0
    correctness = config.correctness if judgment.correct else 0.0
    detail = judgment.detail
    if detail is not None and not config.use_detail:
        detail = 0.0
    reward = judgment.weight * (form + correctness + config.detail_weight * (detail or 0.0))
    return Score(
        score=reward,
        acc=float(judgment.correct),
        format=form,
        correctness=correctness,
        detail=detail,
        weight=judgment.weight,
        readable=float(judgment.readable),
        metrics=judgment.metrics,
    )
