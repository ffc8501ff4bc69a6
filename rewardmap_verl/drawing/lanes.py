"""Convert grid courses to pixels: parallel lanes on shared track, with rounded bends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rewardmap_verl.drawing.line_ordering import order_lanes
from rewardmap_verl.drawing.scene import Point
from rewardmap_verl.transit.placement import GridEdge, GridPoint, PlacedNetwork, grid_edge

_ARC_STEPS = 8


@dataclass(frozen=True, slots=True)
class Lanes:
    """The drawn courses, in pixels before the map is moved onto its canvas."""

    curves: tuple[tuple[tuple[Point, ...], ...], ...]
    """For each line and path, the polyline to draw."""
    calls: tuple[dict[str, Point], ...]
    """For each stop, the point at which each calling line passes it, by line name."""
    passes: tuple[tuple[Point, ...], ...]
    """For each stop, the points at which lines pass without calling."""
    tracks: tuple[tuple[Point, Point, float], ...]
    """Each piece of track: both ends, and the width over all of its lanes."""


def compute_lanes(
    placed: PlacedNetwork, unit: float, width: float, gap: float, bend: float
) -> Lanes:
    """Draw every line on a grid with nodes ``unit`` pixels apart.

    Args:
        placed: The network on its grid.
        unit: Distance between adjacent grid nodes, in pixels.
        width: Width of one line, in pixels.
        gap: Free space between lines on shared track, in pixels.
        bend: Radius of bends, in pixels.
    """
    lane_orders = order_lanes(placed)
    pitch = width + gap
    stops = {point: i for i, point in enumerate(placed.positions)}
    calls: list[dict[str, Point]] = [{} for _ in placed.positions]
    passes: list[list[Point]] = [[] for _ in placed.positions]
    curves = []
    for line, paths in enumerate(placed.courses):
        name = placed.network.lines[line].name
        drawn = []
        for path in paths:
            offsets = [_offset(lane_orders, line, a, b, pitch) for a, b in _pairs(path)]
            corners = _corners(path, offsets, unit)
            called = {i for p in placed.network.lines[line].paths for i in p}
            for point, corner in zip(path, corners, strict=True):
                if stops.get(point) in called:
                    calls[stops[point]].setdefault(name, corner)
                elif point in stops:
                    passes[stops[point]].append(corner)
            drawn.append(_round_bends(path, corners, offsets, bend, stops))
        curves.append(tuple(drawn))
    tracks = tuple(
        (_scaled(a, unit), _scaled(b, unit), len(lines) * pitch - gap)
        for (a, b), lines in lane_orders.items()
    )
    return Lanes(tuple(curves), tuple(calls), tuple(map(tuple, passes)), tracks)


def _pairs(path: Sequence[GridPoint]) -> Iterator[GridEdge]:
    return itertools.pairwise(path)


def _scaled(point: GridPoint, unit: float) -> Point:
    return point[0] * unit, point[1] * unit


def _offset(
    lane_orders: dict[GridEdge, tuple[int, ...]],
    line: int,
    a: GridPoint,
    b: GridPoint,
    pitch: float,
) -> float:
    """Return how far right of the center of the track a line runs, seen in its own direction."""
    edge = grid_edge(a, b)
    lines = lane_orders[edge]
    offset = (lines.index(line) - (len(lines) - 1) / 2) * pitch
    return offset if edge == (a, b) else -offset


def _unit(a: GridPoint, b: GridPoint) -> Point:
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5
    return dx / length, dy / length


def _corners(path: Sequence[GridPoint], offsets: Sequence[float], unit: float) -> list[Point]:
    """Return where the lane passes each node: the intersections of the offset pieces of track."""
    units = [_unit(a, b) for a, b in _pairs(path)]
    closed = path[0] == path[-1]
    corners = []
    for i, node in enumerate(path):
        x, y = _scaled(node, unit)
        into = i - 1 if i > 0 else (len(units) - 1 if closed else 0)
        out = i if i < len(units) else (0 if closed else len(units) - 1)
        dx, dy = _intersection(units[into], units[out], offsets[into], offsets[out])
        corners.append((x + dx, y + dy))
    return corners


def _intersection(d1: Point, d2: Point, o1: float, o2: float) -> Point:
    """Return where two lanes meet, relative to the node.

    The first lane is offset to the right of direction ``d1`` by ``o1``, the second to the right of
    ``d2`` by ``o2``.
    """
    cross = _cross(d1, d2)
    n1, n2 = (-d1[1], d1[0]), (-d2[1], d2[0])
    if cross == 0:
        middle = (o1 + o2) / 2
        return n1[0] * middle, n1[1] * middle
    t = (o2 - o1 * (n1[0] * n2[0] + n1[1] * n2[1])) / (d1[0] * n2[0] + d1[1] * n2[1])
    return n1[0] * o1 + d1[0] * t, n1[1] * o1 + d1[1] * t


def _round_bends(
    path: Sequence[GridPoint],
    corners: Sequence[Point],
    offsets: Sequence[float],
    bend: float,
    stops: dict[GridPoint, int],
) -> tuple[Point, ...]:
    """Replace bends without a stop by arcs; lanes of shared track get concentric arcs.

    A lane that changes sides on straight track does so within the symbol of a stop, so everything
    outside the symbol stays octilinear.
    """
    units = [_unit(a, b) for a, b in _pairs(path)]
    curve = [corners[0]]
    for i in range(1, len(corners) - 1):
        before, here, after = corners[i - 1], corners[i], corners[i + 1]
        if _cross(units[i - 1], units[i]) == 0 and offsets[i - 1] != offsets[i]:
            curve.extend(_jog(here, units[i], offsets[i - 1], offsets[i]))
        elif path[i] in stops:
            curve.append(here)
        else:
            curve.extend(_arc(before, here, after, bend, offsets[i - 1]))
    curve.append(corners[-1])
    return tuple(curve)


def _cross(a: Point, b: Point) -> float:
    value = a[0] * b[1] - a[1] * b[0]
    return 0.0 if abs(value) < 1e-9 else value


def _jog(middle: Point, along: Point, before: float, after: float) -> tuple[Point, Point]:
    """Return two points that shift a lane from one offset to another, centered on ``middle``."""
    half, length = (after - before) / 2, abs(after - before) / 2
    (ux, uy), (nx, ny) = along, (-along[1], along[0])
    return (
        (middle[0] - ux * length - nx * half, middle[1] - uy * length - ny * half),
        (middle[0] + ux * length + nx * half, middle[1] + uy * length + ny * half),
    )


def _arc(a: Point, b: Point, c: Point, radius: float, offset: float) -> list[Point]:
    """Return a curve from the segment ``a``-``b`` to ``b``-``c`` that uses at most half of each."""
    (ux, uy), (vx, vy) = (b[0] - a[0], b[1] - a[1]), (c[0] - b[0], c[1] - b[1])
    lu, lv = (ux * ux + uy * uy) ** 0.5, (vx * vx + vy * vy) ** 0.5
    cross, dot = ux * vy - uy * vx, ux * vx + uy * vy
    if abs(cross) < 1e-6 * lu * lv:
        return [b]
    inner = -offset if cross > 0 else offset  # inner lanes turn tighter
    cut = min(max(radius + inner, 1.0) * abs(cross) / (lu * lv + dot), lu / 2, lv / 2)
    start = (b[0] - ux / lu * cut, b[1] - uy / lu * cut)
    end = (b[0] + vx / lv * cut, b[1] + vy / lv * cut)
    steps = [i / _ARC_STEPS for i in range(_ARC_STEPS + 1)]
    return [
        (
            (1 - t) * (1 - t) * start[0] + 2 * t * (1 - t) * b[0] + t * t * end[0],
            (1 - t) * (1 - t) * start[1] + 2 * t * (1 - t) * b[1] + t * t * end[1],
        )
        for t in steps
    ]
