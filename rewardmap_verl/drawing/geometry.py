"""Convex shapes in the plane: overlaps, distances, and a grid to look near ones up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rewardmap_verl.drawing.scene import Box, Point

Quad = tuple[Point, Point, Point, Point]


def bounds(points: Sequence[Point]) -> Box:
    """The smallest upright box around the points."""
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def boxes_touch(a: Box, b: Box) -> bool:
    """Whether two upright boxes overlap or touch."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def band(a: Point, b: Point, half: float) -> Quad:
    """The rectangle that reaches ``half`` to all sides of the segment from ``a`` to ``b``."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    ux, uy = dx / length * half, dy / length * half
    return (
        (a[0] - ux - uy, a[1] - uy + ux),
        (b[0] + ux - uy, b[1] + uy + ux),
        (b[0] + ux + uy, b[1] + uy - ux),
        (a[0] - ux + uy, a[1] - uy - ux),
    )


def square(centre: Point, half: float) -> Quad:
    """The upright square around a point."""
    x, y = centre
    return (x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)


def overlap(a: Quad, b: Quad) -> bool:
    """Whether two convex quadrilaterals overlap (separating axes)."""
    return not (_parted(a, b) or _parted(b, a))


def _parted(a: Quad, b: Quad) -> bool:
    for i in range(4):
        (px, py), (qx, qy) = a[i], a[i - 1]
        nx, ny = py - qy, qx - px
        first = [x * nx + y * ny for x, y in a]
        second = [x * nx + y * ny for x, y in b]
        if max(first) <= min(second) or max(second) <= min(first):
            return True
    return False


def distance(quad: Quad, point: Point) -> float:
    """How far a point is from a convex quadrilateral; 0 inside."""
    sides = [_side(quad[i - 1], quad[i], point) for i in range(4)]
    if all(side >= 0 for side in sides) or all(side <= 0 for side in sides):
        return 0.0
    return min(_to_segment(quad[i - 1], quad[i], point) for i in range(4))


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _to_segment(a: Point, b: Point, p: Point) -> float:
    dx, dy = b[0] - a[0], b[1] - a[1]
    square_length = dx * dx + dy * dy
    t = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / square_length if square_length else 0.0
    t = min(1.0, max(0.0, t))
    ex, ey = p[0] - a[0] - t * dx, p[1] - a[1] - t * dy
    return (ex * ex + ey * ey) ** 0.5


@dataclass(slots=True)
class Neighbourhood:
    """Numbered boxes in square cells: which of them touch a given box."""

    cell: float
    boxes: dict[int, Box] = field(default_factory=dict)
    cells: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def add(self, number: int, box: Box) -> None:
        """Remember a box under a number."""
        self.boxes[number] = box
        for key in self._keys(box):
            self.cells.setdefault(key, []).append(number)

    def near(self, box: Box) -> list[int]:
        """The numbers of all boxes that touch this one, sorted."""
        some = {number for key in self._keys(box) for number in self.cells.get(key, ())}
        return sorted(number for number in some if boxes_touch(self.boxes[number], box))

    def _keys(self, box: Box) -> Iterator[tuple[int, int]]:
        for i in range(int(box[0] // self.cell), int(box[2] // self.cell) + 1):
            for j in range(int(box[1] // self.cell), int(box[3] // self.cell) + 1):
                yield i, j
