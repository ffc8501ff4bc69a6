"""All questions about one map: how many of each type, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.questions import (
    counting1,
    counting2,
    counting3,
    joining_line,
    next_stop,
    planning,
    torf1,
    torf2,
    transfers,
    valid_route,
)
from rewardmap_verl.questions.context import Context
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import FORMS
from rewardmap_verl.transit.difficulty import canonical_difficulty
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner

__all__ = ["Quotas", "generate_questions"]

_Maker = Callable[[Context, int, int], list[Question]]

_MAKERS: Final[Mapping[QuestionType, _Maker]] = MappingProxyType(
    {
        QuestionType.TORF1: torf1.generate,
        QuestionType.TORF2: torf2.generate,
        QuestionType.COUNTING2: counting2.generate,
        QuestionType.COUNTING3: counting3.generate,
        QuestionType.COUNTING1: counting1.generate,
        QuestionType.PLANNING: planning.generate,
        QuestionType.TRANSFERS: transfers.generate,
        QuestionType.NEXT_STOP: next_stop.generate,
        QuestionType.JOINING_LINE: joining_line.generate,
        QuestionType.VALID_ROUTE: valid_route.generate,
    }
)
"""Generator of each type, in row order."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Maximum number of questions of each type per map.

    On the papers' 30 networks, the defaults match the sizes of ReasonMap-Plus (RewardMap, arXiv
    2510.02240, A.1) and ReasonMap (arXiv 2505.18675, 3.2) within 2 % for each type. The papers
    state 35 questions per map (exactly for Counting1, at most for the others) and up to 40 routes,
    but their totals are below 30 times that and they do not report which questions were dropped.
    The defaults therefore ask every map for the average. TorF1 is 36 because two maps have too few
    pairs without a common line. A small network yields fewer questions.

    Raises:
        ConfigError: A number is negative, or a form is unknown.
    """

    torf1: int = 36
    torf2: int = 33
    counting1: int = 35
    counting2: int = 33
    counting3: int = 1
    planning: int = 36
    """Split 20 : 15 : 5 into trips with 0, 1, and 2 or more transfers."""
    forms: tuple[str, ...] = FORMS
    """Forms of planning questions, used in rotation."""
    transfers: int = 0
    nextstop: int = 0
    joiningline: int = 0
    validroute: int = 0
    """Types beyond the papers are opt-in, see ``with_beyond_papers``."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "forms" and (type(value) is not int or value < 0):
                raise ConfigError("quotas", field.name, value, "Give a whole number of 0 or more.")
        if not self.forms or not set(self.forms) <= set(FORMS):
            raise ConfigError("quotas", "forms", self.forms, f"Choose from {', '.join(FORMS)}.")

    def of(self, kind: QuestionType) -> int:
        """Return the quota of a type."""
        count: int = getattr(self, kind.value.lower())
        return count

    def with_beyond_papers(self, count: int) -> Quotas:
        """Return a copy with ``count`` questions for each type beyond the papers."""
        ours = [kind.value.lower() for kind in QuestionType if kind.spec.beyond_papers]
        changes: dict[str, Any] = dict.fromkeys(ours, count)
        return replace(self, **changes)


def generate_questions(
    network: Network, difficulty: str, seed: int, quotas: Quotas | None = None, brief: bool = False
) -> list[Question]:
    """Generate the questions about one map, grouped by type; a function of its arguments only.

    No question occurs twice, and no question is ambiguous: homonyms, loops that can be ridden both
    ways, pairs on two arms of a branch, and branches with an unknown junction are excluded.

    Args:
        network: The network shown by the map.
        difficulty: Difficulty of the map: easy, middle (or medium), or hard.
        seed: Seed for all sampling.
        quotas: Maximum per type. Defaults to quotas that reproduce the papers' totals.
        brief: Whether to use the brief wording.

    Raises:
        DataError: The difficulty is not one of the three levels.
    """
    quotas = quotas or Quotas()
    level = canonical_difficulty(difficulty, f"{network.country}/{network.city}: difficulty_city")
    context = Context(network, Planner(network), level, brief)
    questions: list[Question] = []
    for kind, make in _MAKERS.items():
        if kind is QuestionType.PLANNING:
            questions += planning.generate(context, seed, quotas.planning, quotas.forms)
        else:
            questions += make(context, seed, quotas.of(kind))
    return questions
