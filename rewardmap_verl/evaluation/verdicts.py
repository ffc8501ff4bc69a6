"""Verdicts on answers: correctness, map score and weight, as the papers' metrics need them.

Parsing and correctness are those of the reward (``rewardmap_verl.rewards``), so that training,
validation and evaluation agree; the map score is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardmap_verl.evaluation.map_score import PARTS, MapScore, map_score
from rewardmap_verl.evaluation.questions import EvalQuestion
from rewardmap_verl.evaluation.weights import Weights, question_level
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.routes import read_route
from rewardmap_verl.rewards.score import score_answer

__all__ = ["Answer", "Verdict", "judge_answers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a model."""

    response: object
    """The response as stored; anything but text is wrong."""
    tokens: int | None = None
    """Generated tokens, if known."""
    cut: bool = False
    """Whether generation stopped at the maximum number of tokens."""
    refused: bool = False
    """Whether the model or its server refused to answer; there is no text."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, if a server counted them."""

    @property
    def empty(self) -> bool:
        """Whether there is no text."""
        return not isinstance(self.response, str) or not self.response.strip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The results of one question: means over its answers."""

    key: str
    index: int
    section: str
    """short, long, plus or further, see ``EvalQuestion.section``."""
    type: str
    data_source: str
    place: str
    """country/city: the questions about one map belong together."""
    map_level: str
    question_level: str
    """By transfers; "easy" for types other than planning."""
    weight: float
    answers: int
    """Number of judged answers; 0 for an unanswered question, which counts as wrong."""
    right: float
    readable: float
    reward: float
    tokens: float | None
    map_score: MapScore | None
    """``None`` for types other than planning."""


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _map_score(
    question: EvalQuestion, answer: Answer, right: bool, config: RewardConfig
) -> MapScore:
    route = read_route(answer.response, question.truth.form, config.max_characters, config.max_legs)
    return map_score(route.legs, right, question.truth, question.network, question.plans)


def _mean_map_score(scores: Sequence[MapScore]) -> MapScore:
    names = ("total", *PARTS)
    return MapScore(**{name: _mean([getattr(one, name) for one in scores]) for name in names})


def judge_answers(
    question: EvalQuestion, answers: Sequence[Answer], weights: Weights, config: RewardConfig
) -> Verdict:
    """Judge the answers to one question; without an answer it counts as wrong.

    Args:
        question: The question.
        answers: Usually one; a validation with several rollouts has more.
        weights: The benchmarks' difficulty weights.
        config: The reward's settings, which also limit the length of a parsed answer.
    """
    truth = question.truth
    scores = [score_answer(one.response, truth, question.network, config) for one in answers]
    tokens = [one.tokens for one in answers if one.tokens is not None]
    routes = [
        _map_score(question, one, score.acc == 1.0, config)
        for one, score in zip(answers, scores, strict=True)
        if truth.is_planning
    ]
    return Verdict(
        key=question.key,
        index=question.index,
        section=question.section,
        type=str(truth.type),
        data_source=question.data_source,
        place=f"{truth.country}/{truth.city}",
        map_level=truth.difficulty_city,
        question_level=question_level(truth),
        weight=weights.of(truth),
        answers=len(answers),
        right=_mean([score.acc for score in scores]),
        readable=_mean([score.readable for score in scores]),
        reward=_mean([score.score for score in scores]),
        tokens=_mean(tokens) if tokens else None,
        map_score=_mean_map_score(routes) if truth.is_planning else None,
    )
