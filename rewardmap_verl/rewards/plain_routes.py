"""Reading a route that is written exactly as asked, as nearly all are, in one go.

What is read here is read alike by :mod:`rewardmap_verl.rewards.routes`, which reads every dress and
takes four times as long.
"""

from __future__ import annotations

import re
from typing import Final

from rewardmap_verl.rewards.route_grammar import DRESSING, LABEL, LONGEST_VALUE, LegText, name_list

__all__ = ["read_plain_route"]

_EDGE: Final = rf"[^{re.escape(DRESSING)}\s:]"
_VALUE: Final = rf"({_EDGE}(?:[^\n:]{{0,{LONGEST_VALUE - 2}}}{_EDGE})?)"
"""What stands on a line behind its label and has no dress to take off."""

_LEG: Final = re.compile(
    rf"Route Name: {_VALUE}\nDeparture Stop: {_VALUE}\nArrival Stop: {_VALUE}"
    rf"(?:\nNumber of Via Stops: ([0-9]{{1,6}})(?![^\n])|\nVia Stops: {_VALUE})?"
    r"(?:\n--+(?:\n|\Z)|\Z)"
)
"""A leg, up to the next. Each part ends where its line does, and the first that does not fit ends
the reading: linear time."""


def read_plain_route(text: str) -> tuple[LegText, ...] | None:
    """Return the legs of a route; ``None`` unless all from the first label on is exactly as asked.

    What stands before the first label may be anything.
    """
    at = text.find("Route Name: ")
    if at < 0 or "</" in text or (at and (text[at - 1] != "\n" or LABEL.search(text, 0, at))):
        return None
    legs = []
    while at < len(text):
        match = _LEG.match(text, at)
        if match is None:
            return None
        line, departure, arrival, count, names = match.groups()
        via_count = None if count is None else int(count)
        via_names = None if names is None else name_list(names)
        legs.append(LegText(line, departure, arrival, via_count, via_names))
        at = match.end()
    return tuple(legs)
