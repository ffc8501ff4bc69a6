"""What is on a map, as a flat list of shapes: one list is painted as PNG and written as SVG."""

from __future__ import annotations

from dataclasses import dataclass

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points with round ends and joints."""

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
    """One line of text starting at ``origin`` on its baseline."""

    origin: Point
    text: str
    size: float
    color: str
    width: float
    """The room that it may take; it is set smaller where a renderer needs more."""
    bold: bool = False
    angle: int = 0
    """Degrees clockwise, one of -45 (rises to the right), 0 and 45 (falls to the right)."""


Shape = Stroke | Disc | Area | Text


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole map; later shapes cover earlier ones."""

    width: float
    height: float
    background: str
    shapes: tuple[Shape, ...]


def shape_box(shape: Shape) -> Box:
    """A box that holds the whole of a shape."""
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
    """The box in an image of ``scale`` times the size."""
    left, top, right, bottom = box
    return (
        round(left * scale, 2),
        round(top * scale, 2),
        round(right * scale, 2),
        round(bottom * scale, 2),
    )


def move(shape: Shape, dx: float, dy: float) -> Shape:
    """The same shape elsewhere."""
    match shape:
        case Stroke(points, width, color):
            return Stroke(_moved(points, dx, dy), width, color)
        case Disc((x, y), radius, color):
            return Disc((x + dx, y + dy), radius, color)
        case Area(points, color):
            return Area(_moved(points, dx, dy), color)
        case Text():
            (x, y), s = shape.origin, shape
            return Text((x + dx, y + dy), s.text, s.size, s.color, s.width, s.bold, s.angle)


def _moved(points: tuple[Point, ...], dx: float, dy: float) -> tuple[Point, ...]:
    return tuple((x + dx, y + dy) for x, y in points)


def _box_of(points: tuple[Point, ...], reach: float) -> Box:
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    return min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach
