"""A map as a flat list of shapes, painted as PNG and written as SVG."""

from __future__ import annotations

from dataclasses import dataclass, replace

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A polyline with round caps and joins."""

    points: tuple[Point, ...]
    width: float
    color: str


@dataclass(frozen=True, slots=True)
class Disc:
    """A filled circle."""

    center: Point
    radius: float
    color: str


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon."""

    points: tuple[Point, ...]
    color: str


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text whose baseline starts at ``origin``."""

    origin: Point
    text: str
    size: float
    color: str
    width: float
    """Available width; a renderer that needs more uses a smaller font."""
    bold: bool = False
    angle: int = 0
    """Degrees clockwise: -45 (rises to the right), 0 or 45 (falls to the right)."""
    centered: bool = False
    """Whether a text that needs less than ``width`` is centered in it, and not at its start."""


Shape = Stroke | Disc | Area | Text


@dataclass(frozen=True, slots=True)
class Scene:
    """A complete map; later shapes cover earlier ones."""

    width: float
    height: float
    background: str
    shapes: tuple[Shape, ...]


def shape_box(shape: Shape) -> Box:
    """Return a box that contains the shape."""
    match shape:
        case Stroke(points, width, _):
            return _box_of(points, width / 2)
        case Disc(center, radius, _):
            return _box_of((center,), radius)
        case Area(points, _):
            return _box_of(points, 0)
        case Text():
            reach = shape.width + 2 * shape.size
            return _box_of((shape.origin,), reach)


def scaled_box(box: Box, scale: float) -> Box:
    """Return the box in an image scaled by ``scale``."""
    left, top, right, bottom = box
    return (
        round(left * scale, 2),
        round(top * scale, 2),
        round(right * scale, 2),
        round(bottom * scale, 2),
    )


def move(shape: Shape, dx: float, dy: float) -> Shape:
    """Return the shape moved by (dx, dy)."""
    match shape:
        case Stroke(points, width, color):
            return Stroke(_moved(points, dx, dy), width, color)
        case Disc((x, y), radius, color):
            return Disc((x + dx, y + dy), radius, color)
        case Area(points, color):
            return Area(_moved(points, dx, dy), color)
        case Text():
            x, y = shape.origin
            return replace(shape, origin=(x + dx, y + dy))


def _moved(points: tuple[Point, ...], dx: float, dy: float) -> tuple[Point, ...]:
    return tuple((x + dx, y + dy) for x, y in points)


def _box_of(points: tuple[Point, ...], reach: float) -> Box:
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    return min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach
