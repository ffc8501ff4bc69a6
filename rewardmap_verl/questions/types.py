"""Data types of a question: its type, text, gold answer and annotation.

``TypeSpec`` declares how the answer of each type is read (``Reading``) and which stops
and lines a question names. The reward, the data checks and the exports use that declaration
instead of testing for type names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

__all__ = ["Question", "QuestionType", "Reading", "TypeSpec"]


class Reading(str, Enum):
    """Format of an answer and meaning of the gold answer's integer."""

    YES_NO = "yes or no"
    """1 is yes, 0 is no."""
    OPTION = "option"
    """One letter of A to D; the index of the option, 0 to 3."""
    NUMBER = "number"
    """The number itself."""
    ROUTE = "route"
    """Blocks of legs; the integer is -1."""


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """Properties of a question type that other packages depend on."""

    reading: Reading
    stops: tuple[str, ...] = ()
    """Question fields that name a stop of the network."""
    names_line: bool = False
    """True if the field ``line`` names a line of the network."""
    beyond_papers: bool = False
    """True for a type that the papers do not have. Such types are opt-in."""


class QuestionType(str, Enum):
    """The six types of ReasonMap-Plus and ReasonMap (arXiv 2510.02240, A.2) and four of our own."""

    TORF1 = "TorF1"
    """Are two stops on one line? Yes or no."""
    TORF2 = "TorF2"
    """Is a stop on a given line? Yes or no."""
    COUNTING1 = "Counting1"
    """How many stops are between two stops of one line? One of four options."""
    COUNTING2 = "Counting2"
    """How many lines pass through a stop? An integer."""
    COUNTING3 = "Counting3"
    """How many lines does the map show? An integer."""
    PLANNING = "planning"
    """How to travel from one stop to another? A route."""
    TRANSFERS = "Transfers"
    """How many transfers does a trip need? An integer."""
    NEXT_STOP = "NextStop"
    """Which stop comes next on a line in a direction? One of four options."""
    JOINING_LINE = "JoiningLine"
    """Which line serves both of two stops? One of four options."""
    VALID_ROUTE = "ValidRoute"
    """Can a route be traveled as described? Yes or no."""

    def __str__(self) -> str:
        return self.value

    @property
    def spec(self) -> TypeSpec:
        """Properties of the type."""
        return _SPECS[self]

    @property
    def reading(self) -> Reading:
        """Format of its answer."""
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

    The annotation records the reasoning steps behind the answer (RewardMap, section 4.1). It is
    JSON-serializable; its keys depend on the type:

    =========== ========================================================================
    TorF1       ``lines_1``, ``lines_2``: line names of each stop
    TorF2       ``lines_1``: line names of the stop
    Counting1   ``line``, ``intermediate``: names in running order, ``options``: four counts
    Counting2   ``lines_1``: line names of the stop
    Counting3   ``lines``: names of all lines
    planning    ``transfer_stops``: of the first reference route
    Transfers   ``transfer_stops``: of one best route
    NextStop    ``ahead``: stops up to the terminus, ``options``: four names
    JoiningLine ``lines_1``, ``lines_2``: as TorF1, ``options``: four names
    ValidRoute  ``legs``: (line, departure, arrival) of each, ``fault``: index of the false leg
    =========== ========================================================================
    """

    type: QuestionType
    country: str
    city: str
    station_1: str
    """Printed name of the first stop; "" if the type names none."""
    station_2: str
    """Printed name of the second stop; "" if the type names none. NextStop: the terminus ahead."""
    line: str
    """TorF2 and NextStop: the line in question; otherwise ""."""
    text: str
    """The full prompt without the image marker."""
    answer: int
    """Encoded as ``Reading`` says: 1 or 0, option index, the number, or -1 for a route."""
    question_transfer_count: int
    """planning: minimum number of transfers of the trip; otherwise 0."""
    difficulty_city: str
    """One of "easy", "middle", "hard"."""
    form: str
    """planning: "short", "long_count" or "long_via"; otherwise ""."""
    annotation: dict[str, Any]
    plans: tuple[tuple[dict[str, Any], ...], ...]
    """planning: the tied best routes, each a sequence of legs with the keys ``route_name``,
    ``departure_stop``, ``arrival_stop``, ``via_stops`` and ``num_via_stops``."""
