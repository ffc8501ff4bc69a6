"""Boxes on a map, in thousandths of its width and height, as models name them.

>>> read_box({"box": [250, 0, 500.4, 1200]})
Box(left=250, top=0, right=500, bottom=1000)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SCALE", "Box", "BoxError", "read_box"]

SCALE = 1000
"""Coordinates run from 0 (left, top) to this (right, bottom)."""

_SIDES = 4
_MAX_ASPECT = 50
"""Longest side of a region relative to the other. The model's processor refuses more than 200."""


class BoxError(ValueError):
    """A box that cannot be shown. Its text is for the model."""


@dataclass(frozen=True, slots=True)
class Box:
    """A region of a map, in thousandths of its sides."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> float:
        """Share of the map, above 0 and at most 1."""
        return (self.right - self.left) * (self.bottom - self.top) / SCALE**2

    def as_list(self) -> list[int]:
        """Return [left, top, right, bottom]."""
        return [self.left, self.top, self.right, self.bottom]

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the region in pixels of a picture: left, top, right, bottom.

        Raises:
            BoxError: The region is more than 50 times as long as it is wide.
        """
        left, right = _span(self.left, self.right, width)
        top, bottom = _span(self.top, self.bottom, height)
        sides = sorted((right - left, bottom - top))
        if sides[1] > _MAX_ASPECT * sides[0]:
            raise BoxError(f"The box is too narrow: {right - left} x {bottom - top} pixels.")
        return left, top, right, bottom


def read_box(arguments: object) -> Box:
    """Read the arguments of a call.

    A box that reaches beyond the map is cut off at its border; fractions are rounded.

    Args:
        arguments: What the model wrote, decoded from JSON; anything at all.

    Raises:
        BoxError: There is no box, or nothing of the map is inside it.
    """
    values = arguments.get("box") if isinstance(arguments, Mapping) else None
    if not isinstance(values, list | tuple) or len(values) != _SIDES:
        raise BoxError('Give "box": [left, top, right, bottom], four numbers from 0 to 1000.')
    left, top, right, bottom = (_coordinate(value) for value in values)
    if left >= right or top >= bottom:
        raise BoxError(
            "The box has no size inside the map: right must be larger than left, bottom larger "
            "than top, and all four are from 0 to 1000."
        )
    return Box(left, top, right, bottom)


def _coordinate(value: object) -> int:
    """Round and clip a coordinate."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BoxError("The four values of a box must be numbers from 0 to 1000.")
    if isinstance(value, float) and math.isnan(value):
        raise BoxError("The four values of a box must be numbers from 0 to 1000.")
    return round(min(max(value, 0), SCALE))


def _span(start: int, end: int, length: int) -> tuple[int, int]:
    """Return the pixels of an interval in thousandths, at least one."""
    first = min(start * length // SCALE, length - 1)
    return first, max(first + 1, -(-end * length // SCALE))
