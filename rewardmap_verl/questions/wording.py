r"""Prompt text of every question and text of its gold answer.

Each question has a full and a brief wording that ask for the same answer in the same format. The
brief one fits models with a short context. Short answers are requested in ``\boxed{}``, routes as
blocks of labeled lines separated by ``--``.

Prepared data and its hashes depend on these texts; do not change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rewardmap_verl.questions.types import Question, Reading

__all__ = [
    "BLOCK_DIVIDER",
    "FORMS",
    "NO_VIA_STOPS",
    "OPTION_LETTERS",
    "boxed",
    "counting1_text",
    "counting2_text",
    "counting3_text",
    "gold_answer",
    "joining_line_text",
    "next_stop_text",
    "planning_text",
    "route_text",
    "short_answer",
    "torf1_text",
    "torf2_text",
    "transfers_text",
    "valid_route_text",
]

FORMS: Final = ("short", "long_count", "long_via")
"""Forms of a planning question: legs only, plus number of via stops, plus names of via stops."""

OPTION_LETTERS: Final = "ABCD"
BLOCK_DIVIDER: Final = "--"
NO_VIA_STOPS: Final = "none"
"""Value of a leg without via stops in the form ``long_via``."""

_BLOCK: Final = "Route Name: Line x\nDeparture Stop: xx Station\nArrival Stop: xx Station"
_FORM_LINE: Final = {
    "short": "",
    "long_count": "\nNumber of Via Stops: x",
    "long_via": "\nVia Stops: xx Station, xx Station",
}
_FORM_HINT: Final = {
    "short": "",
    "long_count": " Via stops are those between departure and arrival.",
    "long_via": f" Via stops are those between departure and arrival; write {NO_VIA_STOPS} if"
    " there are none.",
}


def boxed(answer: object) -> str:
    r"""Return ``\boxed{answer}``."""
    return f"\\boxed{{{answer}}}"


def torf1_text(station_1: str, station_2: str, brief: bool = False) -> str:
    """Ask whether two stops are on one line."""
    if brief:
        return f"Are {station_1} and {station_2} on one line? yes or no in {boxed('')}."
    return (
        f"Look at the transit map. Is there a line that stops at both {station_1} and {station_2}?"
        f" Put only yes or no in {boxed('')}."
    )


def torf2_text(station: str, line: str, brief: bool = False) -> str:
    """Ask whether a stop is on a line."""
    if brief:
        return f"Is {station} on {_line_phrase(line)}? yes or no in {boxed('')}."
    return (
        f"Look at the transit map. Does {_line_phrase(line)} stop at {station}?"
        f" Put only yes or no in {boxed('')}."
    )


def _line_phrase(line: str) -> str:
    """Return a line's name for use in a sentence: "Line 1" unchanged, "7" as "the line 7"."""
    says_so = "line" in line.casefold() or line.endswith("线")
    return line if says_so else f"the line {line}"


def counting1_text(
    station_1: str, station_2: str, options: Sequence[int], brief: bool = False
) -> str:
    """Ask how many stops are between two stops of one line; four options."""
    if brief:
        question = f"How many stops between {station_1} and {station_2}? letter in {boxed('')}."
    else:
        question = (
            f"Look at the transit map. One line runs from {station_1} to {station_2}. How many"
            " stops does it make between the two, not counting them? Put only the letter of the"
            f" right option, one of A, B, C and D, in {boxed('')}."
        )
    return f"{question}\n{_choices(options)}"


def _choices(options: Sequence[object]) -> str:
    """List four options with their letters."""
    return "\n".join(
        f"{letter}) {option}" for letter, option in zip(OPTION_LETTERS, options, strict=True)
    )


def counting2_text(station: str, brief: bool = False) -> str:
    """Ask how many lines pass through a stop."""
    if brief:
        return f"How many lines at {station}? number in {boxed('')}."
    return (
        f"Look at the transit map. How many different lines stop at {station}?"
        f" Put only the number in {boxed('')}."
    )


def counting3_text(brief: bool = False) -> str:
    """Ask how many lines the map shows."""
    if brief:
        return f"How many lines in total? number in {boxed('')}."
    return (
        "Look at the transit map. How many different lines does it show in total?"
        f" Put only the number in {boxed('')}."
    )


def planning_text(station_1: str, station_2: str, form: str, brief: bool = False) -> str:
    """Ask for the best route between two stops, in one of ``FORMS``."""
    block = _BLOCK + _FORM_LINE[form]
    if brief:
        return (
            f"Best route from {station_1} to {station_2}? One block per line,"
            f" {BLOCK_DIVIDER} between blocks:\n{block}"
        )
    return (
        f"Look at the transit map. What is the best way from {station_1} to {station_2}, with as"
        " few changes of line as possible and then as few stops as possible? Give one route only."
        " Write one block for each line that you ride, in order, with names as the map prints"
        f" them, and a line of {BLOCK_DIVIDER} between blocks.{_FORM_HINT[form]}"
        f" Write each block exactly like this:\n{block}"
    )


def transfers_text(station_1: str, station_2: str, brief: bool = False) -> str:
    """Ask for the minimum number of transfers."""
    if brief:
        return f"Fewest changes from {station_1} to {station_2}? number in {boxed('')}."
    return (
        f"Look at the transit map. How many times must one change lines at least on the way from"
        f" {station_1} to {station_2}? Put only the number in {boxed('')}."
    )


def next_stop_text(
    line: str, station: str, towards: str, options: Sequence[str], brief: bool = False
) -> str:
    """Ask which stop comes next on a line in the direction of a terminus; four options."""
    if brief:
        question = (
            f"{_line_phrase(line)}, {station} towards {towards}: next stop? letter in {boxed('')}."
        )
    else:
        question = (
            f"Look at the transit map. You ride {_line_phrase(line)} from {station} in the"
            f" direction of {towards}. At which stop does the train call next? Put only the letter"
            f" of the right option, one of A, B, C and D, in {boxed('')}."
        )
    return f"{question}\n{_choices(options)}"


def joining_line_text(
    station_1: str, station_2: str, options: Sequence[str], brief: bool = False
) -> str:
    """Ask which line serves both of two stops; four options."""
    if brief:
        question = f"Which line has {station_1} and {station_2}? letter in {boxed('')}."
    else:
        question = (
            f"Look at the transit map. Which line stops at both {station_1} and {station_2}? Put"
            f" only the letter of the right option, one of A, B, C and D, in {boxed('')}."
        )
    return f"{question}\n{_choices(options)}"


def valid_route_text(legs: Sequence[tuple[str, str, str]], brief: bool = False) -> str:
    """Ask whether a route, given as (line, departure, arrival) per leg, can be traveled."""
    route = ", then ".join(
        f"{_line_phrase(line)} from {departure} to {arrival}" for line, departure, arrival in legs
    )
    if brief:
        return f"Possible: {route}? yes or no in {boxed('')}."
    return (
        f"Look at the transit map. Can one travel like this, each line stopping at both stops named"
        f" with it: {route}? Put only yes or no in {boxed('')}."
    )


def _leg_text(leg: dict[str, Any], form: str) -> str:
    lines = [
        f"Route Name: {leg['route_name']}",
        f"Departure Stop: {leg['departure_stop']}",
        f"Arrival Stop: {leg['arrival_stop']}",
    ]
    if form == "long_count":
        lines.append(f"Number of Via Stops: {leg['num_via_stops']}")
    if form == "long_via":
        lines.append(f"Via Stops: {', '.join(leg['via_stops']) or NO_VIA_STOPS}")
    return "\n".join(lines)


def route_text(legs: Sequence[dict[str, Any]], form: str) -> str:
    """Return a route in the block format that a planning question asks for."""
    return f"\n{BLOCK_DIVIDER}\n".join(_leg_text(leg, form) for leg in legs)


def gold_answer(question: Question) -> str:
    """Return the gold response to a question, correct and exactly in the requested format."""
    reading = question.type.reading
    if reading is Reading.ROUTE:
        return route_text(question.plans[0], question.form)
    return short_answer(reading, question.answer)


def short_answer(reading: Reading, answer: int) -> str:
    r"""Return a boxed short answer: ``\boxed{yes}``, ``\boxed{B}`` or ``\boxed{3}``."""
    if reading is Reading.YES_NO:
        return boxed("yes" if answer else "no")
    return boxed(OPTION_LETTERS[answer] if reading is Reading.OPTION else answer)
