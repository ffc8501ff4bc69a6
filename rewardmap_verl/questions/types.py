"""What a question is: its type, its text, its gold answer, and the steps that lead there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Question", "QuestionType"]


class QuestionType(str, Enum):
    """The six types of ReasonMap-Plus and ReasonMap (RewardMap, arXiv 2510.02240, A.2)."""

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

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Question:
    """One question about the map of one network, with its gold answer.

    The annotation is the process behind the answer (RewardMap, 4.1): JSON-able, by type

    ========= ==========================================================================
    TorF1     ``lines_1``, ``lines_2``: names of the lines of each stop
    TorF2     ``lines_1``: names of the lines of the stop
    Counting1 ``line``, ``intermediate``: names in running order, ``options``: four counts
    Counting2 ``lines_1``: names of the lines of the stop
    Counting3 ``lines``: names of all lines
    planning  ``transfer_stops``: of the first reference route
    ========= ==========================================================================
    """

    type: QuestionType
    country: str
    city: str
    station_1: str
    """Name of the first stop as printed; "" when the type has none."""
    station_2: str
    """Name of the second stop as printed; "" when the type has none."""
    line: str
    """TorF2: the line that is asked about; otherwise ""."""
    text: str
    """The whole prompt without the image marker."""
    answer: int
    """TorF: 1 for yes and 0 for no; Counting1: index of the option, 0 to 3; Counting2 and
    Counting3: the number; planning: -1."""
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
