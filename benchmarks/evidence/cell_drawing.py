"""Drawing of micro networks: one cell per stop, its letter inside a ring in its lines' colors.

A cell has the size of one visual token of Qwen2.5-VL (28 pixels, arXiv 2502.13923), so one token
carries everything about a stop except its neighbors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.render import DrawnMap, LabelBox
from rewardmap_verl.drawing.scene import Area, Disc, Point, Scene, Shape, Stroke, Text
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.network import Stop
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork

__all__ = ["CellStyle", "draw_cells"]

_ARC_STEPS = 24


class CellStyle(BaseModel):
    """Sizes of the drawing; shares are relative to the width of a cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: int = Field(default=28, ge=14)
    """Width of a cell in pixels."""
    across: int = Field(default=5, ge=2)
    """Columns of the image, with or without stops."""
    down: int = Field(default=4, ge=2)
    """Rows of the image."""
    line_share: float = Field(default=0.33, gt=0, lt=1)
    """Width of a line between two stops."""
    ring_share: float = Field(default=0.92, gt=0, le=1)
    """Width of a stop."""
    hole_share: float = Field(default=0.6, gt=0, lt=1)
    """Width of the white disc inside a stop."""
    letter_share: float = Field(default=0.6, gt=0, le=1)
    """Font size of the letter."""
    paper: str = "#ffffff"
    ink: str = "#000000"


def draw_cells(placed: PlacedNetwork, style: CellStyle) -> DrawnMap:
    """Draw a micro network.

    Raises:
        ConfigError: A stop is outside the image.
    """
    centers = tuple(_center(cell, style) for cell in placed.positions)
    colors = {line.name: line.color or style.ink for line in placed.network.lines}
    curves = tuple(
        tuple(tuple(_center(cell, style) for cell in path) for path in paths)
        for paths in placed.courses
    )
    shapes: list[Shape] = [
        Stroke(path, style.line_share * style.cell, color)
        for color, paths in zip(colors.values(), curves, strict=True)
        for path in paths
    ]
    for stop, center in zip(placed.network.stops, centers, strict=True):
        shapes += _symbol(center, [colors[name] for name in stop.lines], style)
    letters = [
        _letter(stop.name, center, style)
        for stop, center in zip(placed.network.stops, centers, strict=True)
    ]
    scene = Scene(
        style.across * style.cell, style.down * style.cell, style.paper, (*shapes, *letters)
    )
    return DrawnMap(
        scene=scene,
        scale=1.0,
        stops=centers,
        calls=tuple(
            dict.fromkeys(stop.lines, center)
            for stop, center in zip(placed.network.stops, centers, strict=True)
        ),
        curves=curves,
        colors=tuple(colors.values()),
        labels=tuple(
            _label_box(stop, center, style)
            for stop, center in zip(placed.network.stops, centers, strict=True)
        ),
        badges=(),
        legend=(),
        legend_box=(0.0, 0.0, 0.0, 0.0),
        words=(),
        crowded=(),
    )


def _center(cell: GridPoint, style: CellStyle) -> Point:
    if not (0 <= cell[0] < style.across and 0 <= cell[1] < style.down):
        raise ConfigError(
            "CellStyle",
            "across, down",
            (style.across, style.down),
            f"A stop is in cell {cell}; make the image as large as the network.",
        )
    return (cell[0] + 0.5) * style.cell, (cell[1] + 0.5) * style.cell


def _symbol(center: Point, colors: Sequence[str], style: CellStyle) -> list[Shape]:
    """Return a ring divided evenly among the colors of the lines."""
    radius = style.ring_share * style.cell / 2
    hole = Disc(center, style.hole_share * style.cell / 2, style.paper)
    if len(colors) == 1:
        return [Disc(center, radius, colors[0]), hole]
    share = 2 * math.pi / len(colors)
    sectors = [
        _sector(center, radius, math.pi / 2 + share * i, share, color)
        for i, color in enumerate(colors)
    ]
    return [*sectors, hole]


def _sector(center: Point, radius: float, start: float, share: float, color: str) -> Area:
    """Return a slice of a disc; angles in radians, clockwise from east."""
    angles = [start + share * k / _ARC_STEPS for k in range(_ARC_STEPS + 1)]
    arc = [(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a)) for a in angles]
    return Area((center, *arc), color)


def _letter(name: str, center: Point, style: CellStyle) -> Text:
    size = style.letter_share * style.cell
    width, above, _ = text_extent(name, size, True)
    origin = (center[0] - width / 2, center[1] + above / 2)
    return Text(origin, name, size, style.ink, width, bold=True)


def _label_box(stop: Stop, center: Point, style: CellStyle) -> LabelBox:
    size = style.letter_share * style.cell
    width, above, _ = text_extent(stop.name, size, True)
    (left, right), (top, bottom) = (
        (center[axis] - extent / 2, center[axis] + extent / 2)
        for axis, extent in enumerate((width, above))
    )
    corners = ((left, bottom), (right, bottom), (right, top), (left, top))
    return LabelBox(stop.index, stop.name, corners, 0)
