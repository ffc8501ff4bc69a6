"""Conversations that reason before they answer, with and without the zoom tool.

The calls and the answers of the tool are those of a run: the same texts, boxes and crops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.crops import Crop
from rewardmap_verl.zoom.places import Places, parts_of_map
from rewardmap_verl.zoom.reading import Step
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.tool import answer_call, call_text, instructions

__all__ = ["Message", "Reasoning", "TraceMap", "text_trace", "zoom_trace"]

_IMAGE = "<image>"
_PARTS = "I look at the map part by part."


class Reasoning(str, Enum):
    """What a conversation contains before its answer."""

    NONE = "none"
    TEXT = "text"
    """The route, leg by leg, or what the map shows about the question."""
    ZOOM = "zoom"
    """The same in several turns, with calls of the zoom tool."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """``system``, ``user``, ``assistant`` or ``tool``."""
    text: str
    """Its text, with ``<image>`` in place of a picture."""
    crop: Crop | None = None
    """The picture of a ``tool`` message."""
    box: Box | None = None
    """The box of ``crop``."""


@dataclass(frozen=True, slots=True)
class TraceMap:
    """What the calls of a conversation refer to."""

    original: tuple[int, int]
    """Width and height of the original map in pixels."""
    places: Places | None
    """Positions of the stops; ``None`` if they are not known."""
    unit: int
    """Side of the square of one visual token in pixels."""


def text_trace(prompt: str, steps: Sequence[Step], answer: str) -> list[Message]:
    """Return a conversation of two turns whose answer starts with the reasoning."""
    sentences = [sentence for step in steps for sentence in (step.aim, step.found)]
    return [Message("user", prompt), _assistant(sentences, answer)]


def zoom_trace(
    prompt: str, steps: Sequence[Step], answer: str, map: TraceMap, settings: ZoomSettings
) -> list[Message]:
    """Return a conversation that looks at the stops of a question through the zoom tool.

    Where positions are unknown, it looks through the parts of the map and says afterwards what it
    has read. A question that names no stop of a drawn map is answered without a call.

    Args:
        prompt: The user's turn.
        steps: Reasoning steps.
        answer: The last turn.
        map: The map.
        settings: Budget of calls and pixels.
    """
    looks = _looks(steps, map, settings)
    messages = [Message("user", prompt)]
    if settings.describe:
        messages.insert(0, Message("system", instructions(settings)))
    said: list[str] = []
    calls = 0
    for look in looks:
        said.append(look.aim)
        if look.box is not None:
            messages += _call(said, look.box, calls, map, settings)
            calls += 1
            said = []
        said.append(look.found)
    return [*messages, _assistant(said, answer)]


@dataclass(frozen=True, slots=True)
class _Look:
    """A step and where it looks; ``box`` is ``None`` for a step without a call."""

    box: Box | None
    aim: str
    found: str


def _looks(steps: Sequence[Step], map: TraceMap, settings: ZoomSettings) -> list[_Look]:
    if map.places is None:
        boxes = parts_of_map(settings.max_calls, *map.original)
        aims = [_PARTS, *[""] * (len(boxes) - 1)]
        parts = [_Look(box, aim, "") for box, aim in zip(boxes, aims, strict=True)]
        return [*parts, *(_Look(None, step.aim, step.found) for step in steps)]
    return list(_with_boxes(steps, map.places, settings.max_calls))


def _with_boxes(steps: Sequence[Step], places: Places, left: int) -> Iterator[_Look]:
    """Yield the steps with the boxes of their stops, as long as calls are left."""
    for step in steps:
        known = [stop for stop in step.stops if stop in places.points]
        box = places.box(known) if known and left else None
        left -= box is not None
        yield _Look(box, step.aim, step.found)


def _call(
    said: Sequence[str], box: Box, earlier: int, map: TraceMap, settings: ZoomSettings
) -> list[Message]:
    """Return a turn that calls the tool, and the tool's answer."""
    arguments = {"box": box.as_list()}
    answer = answer_call(arguments, earlier, map.original, settings, map.unit)
    picture = _IMAGE if answer.crop else ""
    return [
        _assistant(said, call_text(box)),
        Message("tool", picture + answer.text, answer.crop, answer.box),
    ]


def _assistant(sentences: Sequence[str], end: str) -> Message:
    said = " ".join(sentence for sentence in sentences if sentence)
    return Message("assistant", f"{said}\n{end}" if said else end)
