"""Rectangles at any angle: overlaps, distances, and a spatial index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rewardmap_verl.drawing.scene import Box, Point

Corners = tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle at any angle; labels, tracks, symbols and badges are treated as rectangles."""

    x: float
    y: float
    """The center."""
    ux: float
    uy: float
    """The unit vector along its first side."""
    along: float
    """Half of its length in that direction."""
    across: float
    """Half of its width perpendicular to that direction."""

    def corners(self) -> Corners:
        """Return the corners, starting at the back left as seen in its direction."""
        ax, ay = self.ux * self.along, self.uy * self.along
        bx, by = -self.uy * self.across, self.ux * self.across
        return (
            (self.x - ax - bx, self.y - ay - by),
            (self.x + ax - bx, self.y + ay - by),
            (self.x + ax + bx, self.y + ay + by),
            (self.x - ax + bx, self.y - ay + by),
        )

    def box(self) -> Box:
        """Return the bounding box."""
        wide = abs(self.ux) * self.along + abs(self.uy) * self.across
        high = abs(self.uy) * self.along + abs(self.ux) * self.across
        return self.x - wide, self.y - high, self.x + wide, self.y + high

    def moved(self, dx: float, dy: float) -> Rect:
        """Return the rectangle moved by (dx, dy)."""
        return Rect(self.x + dx, self.y + dy, self.ux, self.uy, self.along, self.across)

    def grown(self, along: float, across: float) -> Rect:
        """Return the rectangle extended at both ends and on both sides."""
        more, wider = self.along + along, self.across + across
        return Rect(self.x, self.y, self.ux, self.uy, more, wider)


def upright(box: Box) -> Rect:
    """Return a box as a rectangle."""
    left, top, right, bottom = box
    middle = (left + right) / 2, (top + bottom) / 2
    return Rect(*middle, 1.0, 0.0, (right - left) / 2, (bottom - top) / 2)


def band(a: Point, b: Point, half: float) -> Rect:
    """Return the rectangle that extends ``half`` beyond the segment ``a``-``b`` on all sides."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5
    ux, uy = (dx / length, dy / length) if length else (1.0, 0.0)
    return Rect((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, ux, uy, length / 2 + half, half)


def bounds(points: Sequence[Point]) -> Box:
    """Return the bounding box of points."""
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def union(boxes: Sequence[Box]) -> Box:
    """Return the bounding box of boxes."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def boxes_touch(a: Box, b: Box) -> bool:
    """Return whether two boxes overlap or touch."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def overlap(a: Rect, b: Rect) -> bool:
    """Return whether two rectangles overlap; touching does not count (separating axes)."""
    dx, dy = b.x - a.x, b.y - a.y
    cos, sin = abs(a.ux * b.ux + a.uy * b.uy), abs(a.ux * b.uy - a.uy * b.ux)
    return (
        abs(dx * a.ux + dy * a.uy) < a.along + b.along * cos + b.across * sin
        and abs(dy * a.ux - dx * a.uy) < a.across + b.along * sin + b.across * cos
        and abs(dx * b.ux + dy * b.uy) < b.along + a.along * cos + a.across * sin
        and abs(dy * b.ux - dx * b.uy) < b.across + a.along * sin + a.across * cos
    )


def distance(rect: Rect, point: Point) -> float:
    """Return the distance of a point from a rectangle; 0 inside."""
    dx, dy = point[0] - rect.x, point[1] - rect.y
    beyond = max(0.0, abs(dx * rect.ux + dy * rect.uy) - rect.along)
    beside = max(0.0, abs(dy * rect.ux - dx * rect.uy) - rect.across)
    return float((beyond * beyond + beside * beside) ** 0.5)


@dataclass(slots=True)
class BoxIndex:
    """Numbered boxes in square cells, to find those that touch a given box."""

    cell: float
    boxes: dict[int, Box] = field(default_factory=dict)
    cells: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def add(self, number: int, box: Box) -> None:
        """Add a box under a number."""
        self.boxes[number] = box
        for key in self._keys(box):
            self.cells.setdefault(key, []).append(number)

    def near(self, box: Box) -> list[int]:
        """Return the sorted numbers of all boxes that touch a box."""
        some = {number for key in self._keys(box) for number in self.cells.get(key, ())}
        return sorted(number for number in some if boxes_touch(self.boxes[number], box))

    def _keys(self, box: Box) -> Iterator[tuple[int, int]]:
        rows = range(int(box[1] // self.cell), int(box[3] // self.cell) + 1)
        for i in range(int(box[0] // self.cell), int(box[2] // self.cell) + 1):
            for j in rows:
                yield i, j
