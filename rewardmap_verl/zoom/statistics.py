"""What the calls of an answer mean for its reward and for the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.settings import ZoomSettings

__all__ = ["ANSWER_START", "AREA", "BOXES", "CALLS", "USED", "with_zoom"]

BOXES: Final = "zoom_boxes"
"""Key of a trajectory's ``extra_fields``: [left, top, right, bottom] in thousandths of each call,
``None`` for a call without a crop."""

ANSWER_START: Final = "answer_start"
"""Key of ``extra_fields``: number of the response token at which the last turn starts."""

USED, CALLS, AREA = "zoom_used", "zoom_calls", "zoom_area"
"""Scores of an answer: whether it saw a crop (0 or 1), its number of calls, and the mean share of
the map in its crops (``None`` without a crop)."""


def with_zoom(
    parts: Mapping[str, Any], boxes: Sequence[Sequence[int] | None], settings: ZoomSettings
) -> dict[str, Any]:
    """Add the calls of an answer to the parts of its reward, and subtract their cost.

    Args:
        parts: ``Score.as_dict()``; the reward is ``score``.
        boxes: The calls of the answer, as under ``BOXES``.
        settings: ``call_cost``.
    """
    areas = [Box(*box).area for box in boxes if box is not None]
    return {
        **parts,
        "score": parts["score"] - settings.call_cost * len(boxes),
        USED: float(bool(areas)),
        CALLS: float(len(boxes)),
        AREA: sum(areas) / len(areas) if areas else None,
    }
