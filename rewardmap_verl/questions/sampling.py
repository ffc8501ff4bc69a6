"""All questions about one map: how many of each type, and in which order they are made."""

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
"""Makers of the types, in the order of their rows."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """How many questions of each type to make about one map, at most.

    The defaults reach the sizes of ReasonMap-Plus (RewardMap, arXiv 2510.02240, A.1) and of
    ReasonMap (arXiv 2505.18675, 3.2) on the 30 networks of the papers, type by type within 2 %. The
    papers speak of 35 questions a map (Counting1 exactly, the others up to it) and of up to 40
    routes; their totals are less than 30 times that, so their maps gave fewer. Which questions
    were dropped is not told, so every map is asked for the average number instead. TorF1 is one
    more than 35, for the two maps that have too few pairs apart. A small network yields fewer where
    it has no more to ask about.

    Raises:
        ConfigError: A number is negative, or a form is unknown.
    """

    torf1: int = 36
    torf2: int = 33
    counting1: int = 35
    counting2: int = 33
    counting3: int = 1
    planning: int = 36
    """Divided 20 : 15 : 5 by trips with no, one, and two or more transfers."""
    forms: tuple[str, ...] = FORMS
    """The forms of planning questions, which go round."""
    transfers: int = 0
    nextstop: int = 0
    joiningline: int = 0
    validroute: int = 0
    """The types beyond the papers, which are asked when wanted: see :meth:`with_beyond_papers`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "forms" and (type(value) is not int or value < 0):
                raise ConfigError("quotas", field.name, value, "Give a whole number of 0 or more.")
        if not self.forms or not set(self.forms) <= set(FORMS):
            raise ConfigError("quotas", "forms", self.forms, f"Choose from {', '.join(FORMS)}.")

    def of(self, kind: QuestionType) -> int:
        """How many questions of a type a map is asked for."""
        count: int = getattr(self, kind.value.lower())
        return count

    def with_beyond_papers(self, count: int) -> Quotas:
        """Return the same quotas with so many questions of each type beyond the papers."""
        ours = [kind.value.lower() for kind in QuestionType if kind.spec.beyond_papers]
        changes: dict[str, Any] = dict.fromkeys(ours, count)
        return replace(self, **changes)


def generate_questions(
    network: Network, difficulty: str, seed: int, quotas: Quotas | None = None, brief: bool = False
) -> list[Question]:
    """Make the questions about one map, by type; a function of its arguments alone.

    No question occurs twice, and none has two readings: homonyms, loops that can be ridden both
    ways, the two arms of a branch and branches that the source does not explain are avoided.

    Args:
        network: The network that the map shows.
        difficulty: Level of the map: easy, middle (or medium), hard.
        seed: Seed of everything random.
        quotas: How many of each type, at most; those that reach the papers' totals when left out.
        brief: Use the brief wording.

    Raises:
        DataError: The difficulty is none of the three levels.
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
