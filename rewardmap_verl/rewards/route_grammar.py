"""Tokens of a written route: its labels and the values after them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.questions.types import Reading
from rewardmap_verl.rewards.values import ANSWER_KINDS, value_of

__all__ = ["DECORATION", "LABEL", "MAX_FIELD_LENGTH", "LegText", "clean", "name_list", "number"]


@dataclass(frozen=True, slots=True)
class LegText:
    """One leg as written, cleaned of decoration."""

    line: str
    departure: str
    arrival: str
    via_count: int | None = None
    """Value of "Number of Via Stops"; ``None`` if it is missing or not a number."""
    via_names: tuple[str, ...] | None = None
    """Value of "Via Stops"; ``None`` if it is missing."""


LABEL: Final = re.compile(
    r"(route[ \t]{1,4}name|departure[ \t]{1,4}stop|arrival[ \t]{1,4}stop"
    r"|number[ \t]{1,4}of[ \t]{1,4}via[ \t]{1,4}stops|via[ \t]{1,4}stops)[ \t*_`]{0,6}:",
    re.IGNORECASE | re.ASCII,  # without ASCII, "ſ" would match s and "İ" would match i
)
"""A label in any case and markup. All repeats are bounded, so matching takes linear time."""

DECORATION: Final = " \t\x1c\x1d\x1e\x1f\"'“”‘’`*_<>[]{}|$,;.、\\"
"""Characters stripped from both ends of a value."""

MAX_FIELD_LENGTH: Final = 4000
"""Maximum length of a value in characters. The longest name of the 30 networks has 60."""


def clean(value: str) -> str:
    """Strip Markdown, quotes, brackets, a closing tag and a final period from a value."""
    return value[:MAX_FIELD_LENGTH].split("</", 1)[0].strip(DECORATION)


def number(text: str) -> int | None:
    """Read a number of stops like a short answer: "13" or "13 stops", but not "4 or 5"."""
    value = value_of(text, ANSWER_KINDS[Reading.NUMBER])
    return value if value is not None and value >= 0 else None


def name_list(text: str) -> tuple[str, ...]:
    """Split "A Station, B Station"; "None" and a dash mean no stops."""
    names = [name.strip(DECORATION) for name in re.split(r"[,;、]", text)]
    return tuple(name for name in names if name and name.lower() not in ("none", "n/a", "-"))
