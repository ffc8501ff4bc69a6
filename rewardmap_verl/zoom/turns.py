r"""The turns of a trajectory, read from the text that verl dumps.

verl writes the turns of the model and of its tools as one text, without special tokens and
pictures: ``I look.<tool_call>…</tool_call>\ntool\nBox […]. Calls left: 3.\nassistant\n…``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.zoom.boxes import SCALE, Box

__all__ = ["Turn", "read_turns"]

_CALL_END: Final = "</tool_call>"
_TOOL: Final = re.compile(r"\s{0,4}(?:tool|user)\n")
_MODEL: Final = "\nassistant\n"
_TAKEN: Final = re.compile(r"Box \[(\d{1,4}), (\d{1,4}), (\d{1,4}), (\d{1,4})\]\. Calls left: \d")
_MOST: Final = 200
"""Turns that are read; further ones are left as one text."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model wrote, or what the tool answered."""

    speaker: str
    """``model`` or ``tool``."""
    text: str
    box: Box | None = None
    """The region of the map that the tool showed."""


def read_turns(response: object) -> tuple[Turn, ...]:
    """Return the turns of a dumped response; one turn of the model if there is no call."""
    if not isinstance(response, str):
        return ()
    turns: list[Turn] = []
    start = place = 0
    while len(turns) < _MOST and (call := response.find(_CALL_END, place)) >= 0:
        place = call + len(_CALL_END)
        tool = _TOOL.match(response, place)
        if tool is None:
            continue
        end = response.find(_MODEL, tool.end() - 1)
        if end < 0:
            break
        said = response[tool.end() : end]
        turns += [Turn("model", response[start:place]), Turn("tool", said, _box(said))]
        start = place = end + len(_MODEL)
    return (*turns, Turn("model", response[start:]))


def _box(answer: str) -> Box | None:
    """Return the box that an answer of the tool names; ``None`` if it shows no crop."""
    found = _TAKEN.search(answer)
    if found is None:
        return None
    left, top, right, bottom = map(int, found.groups())
    inside = left < right <= SCALE and top < bottom <= SCALE
    return Box(left, top, right, bottom) if inside else None
