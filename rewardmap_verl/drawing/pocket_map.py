"""Drawing of pocket networks: one cell per stop, its name on a plate in its lines' colors.

A cell has the size of one visual token of Qwen2.5-VL (28 pixels, arXiv 2502.13923), so one token
shows a stop, its lines and where their tracks leave.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.render import DrawnMap, LabelBox
from rewardmap_verl.drawing.scene import Area, Point, Scene, Shape, Stroke, Text
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.network import Stop
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork

__all__ = ["PocketStyle", "draw_pocket_map"]


class PocketStyle(BaseModel):
    """Sizes of the drawing; shares are relative to the width of a cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: int = Field(default=28, ge=14)
    """Width of a cell in pixels."""
    columns: int = Field(default=8, ge=2)
    """Columns of the image, with or without stops."""
    rows: int = Field(default=6, ge=2)
    """Rows of the image."""
    line_width: float = Field(default=0.24, gt=0, lt=1)
    """Width of a track."""
    plate_width: float = Field(default=0.88, gt=0, le=1)
    """Width of the plate of a stop."""
    plate_height: float = Field(default=0.6, gt=0, le=1)
    """Height of the plate of a stop."""
    border: float = Field(default=0.08, gt=0, lt=0.3)
    """Width of the colored border of a plate."""
    font_size: float = Field(default=0.35, gt=0, le=1)
    """Font size of the name."""
    background: str = "#f4f1ea"
    paper: str = "#ffffff"
    ink: str = "#101418"


def draw_pocket_map(placed: PlacedNetwork, style: PocketStyle) -> DrawnMap:
    """Draw a pocket network.

    Raises:
        ConfigError: A stop is outside the image.
    """
    stops = placed.network.stops
    centers = tuple(_center(cell, style) for cell in placed.positions)
    colors = {line.name: line.color or style.ink for line in placed.network.lines}
    curves = tuple(
        tuple(tuple(_center(cell, style) for cell in path) for path in paths)
        for paths in placed.courses
    )
    shapes: list[Shape] = [
        Stroke(path, style.line_width * style.cell, color)
        for color, paths in zip(colors.values(), curves, strict=True)
        for path in paths
    ]
    for stop, center in zip(stops, centers, strict=True):
        shapes += _plate(center, [colors[name] for name in stop.lines], style)
        shapes.append(_name(stop.name, center, style))
    return DrawnMap(
        scene=Scene(
            style.columns * style.cell, style.rows * style.cell, style.background, tuple(shapes)
        ),
        scale=1.0,
        stops=centers,
        calls=tuple(
            dict.fromkeys(stop.lines, center) for stop, center in zip(stops, centers, strict=True)
        ),
        curves=curves,
        colors=tuple(colors.values()),
        labels=tuple(
            _label_box(stop, center, style) for stop, center in zip(stops, centers, strict=True)
        ),
        badges=(),
        legend=(),
        legend_box=(0.0, 0.0, 0.0, 0.0),
        words=(),
        crowded=(),
    )


def _center(cell: GridPoint, style: PocketStyle) -> Point:
    if not (0 <= cell[0] < style.columns and 0 <= cell[1] < style.rows):
        raise ConfigError(
            "PocketStyle",
            "columns, rows",
            (style.columns, style.rows),
            f"A stop is in cell {cell}; make the image as large as the network.",
        )
    return (cell[0] + 0.5) * style.cell, (cell[1] + 0.5) * style.cell


def _plate(center: Point, colors: Sequence[str], style: PocketStyle) -> list[Shape]:
    """Return a white plate with a border; each line colors an equal part of it, from the left."""
    width, height = style.plate_width * style.cell, style.plate_height * style.cell
    border = style.border * style.cell
    part = width / len(colors)
    left = center[0] - width / 2
    frame = [
        _box((left + part * (i + 0.5), center[1]), part, height, color)
        for i, color in enumerate(colors)
    ]
    return [*frame, _box(center, width - 2 * border, height - 2 * border, style.paper)]


def _box(center: Point, width: float, height: float, color: str) -> Area:
    (left, right), (top, bottom) = (
        (middle - extent / 2, middle + extent / 2)
        for middle, extent in zip(center, (width, height), strict=True)
    )
    return Area(((left, top), (right, top), (right, bottom), (left, bottom)), color)


def _name(name: str, center: Point, style: PocketStyle) -> Text:
    size = style.font_size * style.cell
    width, above, _ = text_extent(name, size, True)
    origin = (center[0] - width / 2, center[1] + above / 2)
    return Text(origin, name, size, style.ink, width, bold=True)


def _label_box(stop: Stop, center: Point, style: PocketStyle) -> LabelBox:
    size = style.font_size * style.cell
    width, above, _ = text_extent(stop.name, size, True)
    (left, right), (top, bottom) = (
        (middle - extent / 2, middle + extent / 2)
        for middle, extent in zip(center, (width, above), strict=True)
    )
    corners = ((left, bottom), (right, bottom), (right, top), (left, top))
    return LabelBox(stop.index, stop.name, corners, 0)
