"""What a route is written with: the labels of its lines, and the values that stand behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.questions.types import Reading
from rewardmap_verl.rewards.values import ANSWER_KINDS, value_of

__all__ = ["DRESSING", "LABEL", "MAX_FIELD_LENGTH", "LegText", "clean", "name_list", "number"]


@dataclass(frozen=True, slots=True)
class LegText:
    """One leg as written, cleaned of decoration."""

    line: str
    departure: str
    arrival: str
    via_count: int | None = None
    """From "Number of Via Stops"; ``None`` when it is not there or no number."""
    via_names: tuple[str, ...] | None = None
    """From "Via Stops"; ``None`` when it is not there."""


LABEL: Final = re.compile(
    r"(route[ \t]{1,4}name|departure[ \t]{1,4}stop|arrival[ \t]{1,4}stop"
    r"|number[ \t]{1,4}of[ \t]{1,4}via[ \t]{1,4}stops|via[ \t]{1,4}stops)[ \t*_`]{0,6}:",
    re.IGNORECASE | re.ASCII,  # else "ſ" would pass for an s, and "İ" for an i
)
"""A label of any dress; bounded repeats only, so that it runs in linear time."""

DRESSING: Final = " \t\x1c\x1d\x1e\x1f\"'“”‘’`*_<>[]{}|$,;.、\\"
"""What is taken off both ends of a value."""

MAX_FIELD_LENGTH: Final = 4000
"""Characters of a value that are read; the longest name of the 30 networks has 60."""


def clean(value: str) -> str:
    """Take decoration off a value: Markdown, quotes, brackets, a closing tag, a final full stop."""
    return value[:MAX_FIELD_LENGTH].split("</", 1)[0].strip(DRESSING)


def number(text: str) -> int | None:
    """Read a number of stops as a short answer is read: "13", "13 stops", not "4 or 5"."""
    value = value_of(text, ANSWER_KINDS[Reading.NUMBER])
    return value if value is not None and value >= 0 else None


def name_list(text: str) -> tuple[str, ...]:
    """Split "A Station, B Station"; "None" and a dash say that there is none."""
    names = [name.strip(DRESSING) for name in re.split(r"[,;、]", text)]
    return tuple(name for name in names if name and name.lower() not in ("none", "n/a", "-"))
