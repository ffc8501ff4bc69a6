"""Tokens of a written route: its labels and the values after them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rewardmap_verl.questions.types import Reading
from rewardmap_verl.rewards.values import ANSWER_KINDS, value_of

__all__ = [
    "ARRIVAL",
    "DECORATION",
    "DEPARTURE",
    "LABEL",
    "LINE",
    "MAX_FIELD_LENGTH",
    "REQUIRED",
    "SPELLING",
    "VIA_COUNT",
    "VIA_NAMES",
    "LegText",
    "clean",
    "field_of",
    "name_list",
    "number",
    "table_cells",
]

LINE: Final = "route name"
DEPARTURE: Final = "departure stop"
ARRIVAL: Final = "arrival stop"
VIA_COUNT: Final = "number of via stops"
VIA_NAMES: Final = "via stops"
REQUIRED: Final = (LINE, DEPARTURE, ARRIVAL)

SPELLING: Final = MappingProxyType(
    {
        LINE: "Route Name: ",
        DEPARTURE: "Departure Stop: ",
        ARRIVAL: "Arrival Stop: ",
        VIA_COUNT: "Number of Via Stops: ",
        VIA_NAMES: "Via Stops: ",
    }
)
"""The labels exactly as the question spells them."""


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
    r"(route[ \t_]{0,4}name|departure[ \t_]{0,4}stop|arrival[ \t_]{0,4}stop"
    r"|num(?:ber)?[ \t_]{0,4}(?:of)?[ \t_]{0,4}via[ \t_]{0,4}stops|via[ \t_]{0,4}stops)"
    r"[ \t*_`\"']{0,6}:",
    re.IGNORECASE | re.ASCII,  # without ASCII, "ſ" would match s and "İ" would match i
)
"""A label in any case and markup, also as a JSON key. All repeats are bounded: linear time."""

_FIELDS: Final = MappingProxyType(
    {name.replace(" ", ""): name for name in SPELLING}
    | {"numviastops": VIA_COUNT, "numberviastops": VIA_COUNT, "numofviastops": VIA_COUNT}
)

DECORATION: Final = " \t\x1c\x1d\x1e\x1f\"'“”‘’`*_<>[]{}|$,;.、\\"
"""Characters stripped from both ends of a value."""

MAX_FIELD_LENGTH: Final = 4000
"""Maximum length of a value in characters. The longest name of the 30 networks has 60."""

_LATEX_WRAPPER: Final = re.compile(
    r"(?:\\|\x08)(?:b?oxed|fbox|framebox|text(?:bf|it|rm|sf|tt)?|math(?:rm|bf|sf|tt)|mbox|emph)"
    r"[ \t]{0,4}\{"
)
"""The opening of a LaTeX command that only changes the look of a value."""

_JSON_STRING: Final = re.compile(r'\s{0,4}"([^"]*)"\s{0,4}[,}\]]')
"""A JSON string with the punctuation that follows it."""

_JSON_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def field_of(label: str) -> str:
    """Return the field that a label without its colon names, "" if it is none."""
    return _FIELDS.get("".join(label.lower().replace("_", " ").split()), "")


def clean(value: str) -> str:
    """Strip Markdown, LaTeX, quotes, brackets, a closing tag and a final period from a value."""
    value = value[:MAX_FIELD_LENGTH].split("</", 1)[0]
    if '"' in value and (string := _JSON_STRING.match(value)):
        value = string.group(1)
    if "\\" in value or "\x08" in value:
        value = _JSON_ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), value)
        unwrapped = _LATEX_WRAPPER.sub("", value)
        value = value if unwrapped == value else unwrapped.replace("}", " ")
    return value.strip(DECORATION)


def number(text: str) -> int | None:
    """Read a number of stops like a short answer: "13" or "13 stops", but not "4 or 5"."""
    value = value_of(text, ANSWER_KINDS[Reading.NUMBER])
    return value if value is not None and value >= 0 else None


def name_list(text: str) -> tuple[str, ...]:
    """Split "A Station, B Station"; "None" and a dash mean no stops."""
    names = [name.strip(DECORATION) for name in re.split(r"[,;、]", text)]
    return tuple(name for name in names if name and name.lower() not in ("none", "n/a", "-"))


def table_cells(line: str) -> list[str]:
    """Return the cells of a row of a Markdown table, without markup."""
    return [cell.strip(" \t*_`") for cell in line.strip("|").split("|")]
