"""The parts of a reward, and how they make one number. Nothing here knows about transit maps.

``R = W · (format + correctness + α · detail)``

A task says what it found in an answer (:class:`Judgment`); :func:`combine` turns that into a
:class:`Score`. Detail is a list of :class:`CreditItem` s, each with what it is worth and what the answer
earned. See docs/add-a-task.md for a task of another kind, written in one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["CreditItem", "Judgment", "Score", "combine", "detail_value", "form_share"]


@dataclass(frozen=True, slots=True)
class CreditItem:
    """One thing that a good answer gets right."""

    name: str
    credit: float
    """What the answer earned for it; below 0 for a deduction."""
    worth: float
    """Most that can be earned for it; 0 for a deduction."""
    reason: str = ""
    """Why, for a person."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """What a task found in an answer."""

    readable: bool
    correct: bool
    form: float
    """Share of the format reward, 0 to 1."""
    detail: float | None
    """0 to the cap; ``None`` where the task gives no partial credit."""
    weight: float = 1.0
    """W, the weight of the question; above 0."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Further figures for the training metrics; a task always gives the same keys."""


@dataclass(frozen=True, slots=True)
class Score:
    """The reward of one answer and its parts. Only ``score`` is weighed; the parts are as they are
    before W and α."""

    score: float
    acc: float
    """1 for a right answer, else 0."""
    format: float
    correctness: float
    detail: float | None
    weight: float
    readable: float
    """1 when an answer could be read, else 0."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, float | None]:
        """Return all figures flat, under the same keys for every answer of a task."""
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

    1 for the exact form; each of the ``kinds`` of fault that it has takes away an equal part, down
    to ``format_floor``. Kinds are counted and not occurrences, so that well-formed padding cannot
    make good for a fault.
    """
    return 1.0 - (1.0 - config.format_floor) * min(faults, kinds) / kinds


def detail_value(items: Iterable[CreditItem], right: bool, config: RewardConfig) -> float:
    """Scale the credit of a readable answer so that the sum of all worths becomes the cap.

    A right answer keeps at least the floor; a wrong one stays at or below ``wrong_cap``.
    """
    gathered = tuple(items)
    worth = sum(item.worth for item in gathered)
    credit = sum(item.credit for item in gathered)
    highest = config.detail_cap if right else config.wrong_cap
    return min(max(config.detail_cap * credit / worth, config.detail_floor), highest)


def combine(judgment: Judgment, config: RewardConfig) -> Score:
    """Compute R from what was found (RewardMap, arXiv 2510.02240, section 4.2)."""
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
