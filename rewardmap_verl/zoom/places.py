"""Boxes around stops of maps that this package drew, and parts of other maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.inputs.parsing import MALFORMED, parse_json
from rewardmap_verl.preparation.manifest import MapRecord
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.zoom.boxes import SCALE, Box

__all__ = ["Places", "parts_of_map", "read_places"]

Point = tuple[float, float]
"""Pixels of the prepared map."""

_SIDE = 250
"""Minimum side of a box around stops, in thousandths: a quarter of the map."""
_MARGIN = 15
"""Space around stops and labels, in thousandths."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the stops of a drawn map and their labels are."""

    points: Mapping[int, tuple[Point, ...]]
    """By index of the stop: its center and the corners of its label."""
    size: tuple[float, float]
    """Width and height of the map in the same unit."""

    def box(self, stops: Sequence[int]) -> Box:
        """Return a box that shows stops with their labels.

        Raises:
            KeyError: A stop has no position.
        """
        points = [point for stop in stops for point in self.points[stop]]
        spans = [_span([point[axis] / self.size[axis] for point in points]) for axis in (0, 1)]
        return Box(spans[0][0], spans[1][0], spans[0][1], spans[1][1])


def _span(shares: Sequence[float]) -> tuple[int, int]:
    """Return start and end of an interval around points, in thousandths, inside the map."""
    low = round(min(shares) * SCALE) - _MARGIN
    high = round(max(shares) * SCALE) + _MARGIN
    missing = max(0, _SIDE - (high - low))
    low, high = low - missing // 2, high + (missing - missing // 2)
    shift = max(0, -low) - max(0, high - SCALE)
    return max(0, low + shift), min(SCALE, high + shift)


def read_places(folder: Path, entry: MapRecord) -> Places | None:
    """Read the positions of a map; ``None`` if this package did not draw it.

    Args:
        folder: The prepared folder.
        entry: The map.

    Raises:
        DataError: The file of the positions is missing or damaged.
    """
    if not entry.positions:
        return None
    path = inside(folder, entry.positions)
    check_file(path)
    try:
        return _parse(parse_json(path.read_bytes()))
    except MALFORMED as error:
        raise DataError(path, found=str(error), hint="Prepare the data again.") from None


def _parse(data: Any) -> Places:
    points: dict[int, list[Point]] = {
        index: [(float(x), float(y))] for index, (x, y) in enumerate(data["stops"])
    }
    for label in data["labels"]:
        points[label["stop"]] += [(float(x), float(y)) for x, y in label["corners"]]
    width, height = map(float, data["size"])
    if not (0 < width < inf and 0 < height < inf):
        raise ValueError("a map without size")
    for x, y in chain(*points.values()):
        if not (abs(x) <= 2 * width and abs(y) <= 2 * height):
            raise ValueError(f"the point ({x:g}, {y:g}) is not on the map")
    return Places({index: tuple(found) for index, found in points.items()}, (width, height))


def parts_of_map(count: int, width: int, height: int) -> tuple[Box, ...]:
    """Return the parts in which an unknown map is looked through, from the upper left on.

    Args:
        count: Number of calls: four and more give quarters, two or three give halves of the longer
            side, one gives the whole map.
        width: Width of the map.
        height: Height of the map in the same unit.
    """
    half, across, down = SCALE // 2, 1, 1
    if count > 3:
        across, down = 2, 2
    elif count > 1:
        across, down = (2, 1) if width >= height else (1, 2)
    sides = [
        [(0, SCALE)] if number == 1 else [(0, half), (half, SCALE)] for number in (across, down)
    ]
    return tuple(
        Box(left, top, right, bottom) for top, bottom in sides[1] for left, right in sides[0]
    )
