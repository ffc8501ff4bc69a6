"""What a question is: its type, its text, its gold answer, and the steps that lead there.

A type says here how its answer is read (:class:`Reading`) and what it names; the reward, the checks
and the exports go by that and know no type by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

__all__ = ["Question", "QuestionType", "Reading", "TypeSpec"]


class Reading(str, Enum):
    """How an answer is written and what the gold answer's number means."""

    YES_NO = "yes or no"
    """1 is yes, 0 is no."""
    OPTION = "option"
    """One letter of A to D; the index of the option, 0 to 3."""
    NUMBER = "number"
    """The number itself."""
    ROUTE = "route"
    """Blocks of legs; -1."""


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """What the rest of the package must know of a type."""

    reading: Reading
    stops: tuple[str, ...] = ()
    """Fields of a question that name a stop; the network must have it."""
    names_line: bool = False
    """Whether the field ``line`` names a line that the network must have."""
    beyond_papers: bool = False
    """Whether the type is of this package alone. Such types are asked only when wanted."""


class QuestionType(str, Enum):
    """Six types of ReasonMap-Plus and ReasonMap (RewardMap, arXiv 2510.02240, A.2), then ours."""

    TORF1 = "TorF1"
    """Are two stops on one line? yes or no."""
    TORF2 = "TorF2"
    """Is a stop on a given line? yes or no."""
    COUNTING1 = "Counting1"
    """How many stops lie between two stops of one line? One of four options."""
    COUNTING2 = "Counting2"
    """How many lines pass through a stop? An integer."""
    COUNTING3 = "Counting3"
    """How many lines does the map show? An integer."""
    PLANNING = "planning"
    """How does one get from a stop to another? A route."""
    TRANSFERS = "Transfers"
    """How often must one change lines between two stops? An integer."""
    NEXT_STOP = "NextStop"
    """Which stop comes next on a line in a direction? One of four options."""
    JOINING_LINE = "JoiningLine"
    """Which line serves both of two stops? One of four options."""
    VALID_ROUTE = "ValidRoute"
    """Can a route be travelled as it is described? yes or no."""

    def __str__(self) -> str:
        return self.value

    @property
    def spec(self) -> TypeSpec:
        """How it is read, and what it names."""
        return _SPECS[self]

    @property
    def reading(self) -> Reading:
        """How its answer is read."""
        return _SPECS[self].reading


_ONE: Final = ("station_1",)
_TWO: Final = ("station_1", "station_2")
_SPECS: Final[Mapping[QuestionType, TypeSpec]] = MappingProxyType(
    {
        QuestionType.TORF1: TypeSpec(Reading.YES_NO, _TWO),
        QuestionType.TORF2: TypeSpec(Reading.YES_NO, _ONE, names_line=True),
        QuestionType.COUNTING1: TypeSpec(Reading.OPTION, _TWO),
        QuestionType.COUNTING2: TypeSpec(Reading.NUMBER, _ONE),
        QuestionType.COUNTING3: TypeSpec(Reading.NUMBER),
        QuestionType.PLANNING: TypeSpec(Reading.ROUTE, _TWO),
        QuestionType.TRANSFERS: TypeSpec(Reading.NUMBER, _TWO, beyond_papers=True),
        QuestionType.NEXT_STOP: TypeSpec(Reading.OPTION, _TWO, names_line=True, beyond_papers=True),
        QuestionType.JOINING_LINE: TypeSpec(Reading.OPTION, _TWO, beyond_papers=True),
        QuestionType.VALID_ROUTE: TypeSpec(Reading.YES_NO, _TWO, beyond_papers=True),
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question about the map of one network, with its gold answer.

    The annotation is the process behind the answer (RewardMap, 4.1): JSON-able, by type

    =========== ========================================================================
    TorF1       ``lines_1``, ``lines_2``: names of the lines of each stop
    TorF2       ``lines_1``: names of the lines of the stop
    Counting1   ``line``, ``intermediate``: names in running order, ``options``: four counts
    Counting2   ``lines_1``: names of the lines of the stop
    Counting3   ``lines``: names of all lines
    planning    ``transfer_stops``: of the first reference route
    Transfers   ``transfer_stops``: of one of the best routes
    NextStop    ``ahead``: names up to the stop ridden towards, ``options``: four names
    JoiningLine ``lines_1``, ``lines_2``: as TorF1, ``options``: four names
    ValidRoute  ``legs``: line and two stops of each, ``fault``: number of the false one
    =========== ========================================================================
    """

    type: QuestionType
    country: str
    city: str
    station_1: str
    """Name of the first stop as printed; "" when the type has none."""
    station_2: str
    """Name of the second stop as printed; "" when the type has none. NextStop: the stop ridden
    towards."""
    line: str
    """TorF2 and NextStop: the line that is asked about; otherwise ""."""
    text: str
    """The whole prompt without the image marker."""
    answer: int
    """What :class:`Reading` says: 1 or 0, index of the option, the number, -1 for a route."""
    question_transfer_count: int
    """Fewest changes of line that the trip needs; 0 for all types but planning."""
    difficulty_city: str
    """One of "easy", "middle", "hard"."""
    form: str
    """planning: "short", "long_count" or "long_via"; otherwise ""."""
    annotation: dict[str, Any]
    plans: tuple[tuple[dict[str, Any], ...], ...]
    """planning: the reference routes, best ones that tie; each is a sequence of legs with the keys
    ``route_name``, ``departure_stop``, ``arrival_stop``, ``via_stops``, ``num_via_stops``."""
