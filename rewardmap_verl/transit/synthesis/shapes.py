"""Families of networks: the waypoints of each line, before its path is searched.

Real networks are radial (lines through a center), grids (lines across the city in both directions),
rings (a loop crossed by radial lines) or grown over time (each line meets an earlier one).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from rewardmap_verl.transit.placement import GridPoint
from rewardmap_verl.transit.synthesis.track_grid import TrackGrid

Waypoints = tuple[GridPoint, ...]
Shape = Callable[[random.Random, TrackGrid, int], Iterator[Waypoints]]
"""Given the tracks so far and the total number of lines, an endless iterator of waypoints for the
next line."""


def radial(rng: random.Random, grid: TrackGrid, total: int) -> Iterator[Waypoints]:
    """Yield lines from edge to edge through one of a few hubs near the center."""
    hubs = _hubs(rng, grid, 1 + total // 4)
    turn = rng.randrange(8)
    while True:
        turn += rng.choice((1, 1, 2, 3))
        start = _rim(rng, grid, turn * 2)
        end = _rim(rng, grid, turn * 2 + 8 + rng.randint(-2, 2))
        yield _distinct(start, _anchor(rng, grid, hubs), end)


def crossing(rng: random.Random, grid: TrackGrid, total: int) -> Iterator[Waypoints]:
    """Yield lines across the city, alternating between west-east and north-south."""
    across = rng.random() < 0.5
    while True:
        start = _rim(rng, grid, (8 if across else 12) + rng.randint(-2, 2))
        end = _rim(rng, grid, (0 if across else 4) + rng.randint(-2, 2))
        yield _distinct(start, *_join(rng, grid), end)
        across = not across


def grown(rng: random.Random, grid: TrackGrid, total: int) -> Iterator[Waypoints]:
    """Yield lines that start on the rim, meet an earlier line and end somewhere else."""
    while True:
        turn = rng.randrange(16)
        end = _rim(rng, grid, turn + rng.randint(5, 11))
        if rng.random() < 0.25 and grid.nodes:
            yield _distinct(_rim(rng, grid, turn), *_join(rng, grid))
        else:
            yield _distinct(_rim(rng, grid, turn), *_join(rng, grid), end)


SHAPES: dict[str, Shape] = {"radial": radial, "grid": crossing, "ring": radial, "grown": grown}


def ring_path(rng: random.Random, grid: TrackGrid) -> tuple[GridPoint, ...]:
    """Return a closed octagon around the center of the grid; the last point is the first."""
    left, right = _middle_part(rng, grid.width)
    top, bottom = _middle_part(rng, grid.height)
    cut = max(1, min(right - left, bottom - top) // rng.choice((3, 4)))
    corners = [
        (left + cut, top),
        (right - cut, top),
        (right, top + cut),
        (right, bottom - cut),
        (right - cut, bottom),
        (left + cut, bottom),
        (left, bottom - cut),
        (left, top + cut),
    ]
    path = [corners[0]]
    for corner in [*corners[1:], corners[0]]:
        while path[-1] != corner:
            x, y = path[-1]
            path.append((x + _sign(corner[0] - x), y + _sign(corner[1] - y)))
    return tuple(path)


def _middle_part(rng: random.Random, size: int) -> tuple[int, int]:
    low = max(1, size // 4 - rng.randint(0, 1))
    return low, max(low + 2, size - 1 - max(1, size // 4 - rng.randint(0, 1)))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _distinct(*points: GridPoint) -> Waypoints:
    """Return the points without repeats, in order."""
    return tuple(dict.fromkeys(points))


def _hubs(rng: random.Random, grid: TrackGrid, count: int) -> list[GridPoint]:
    spread_x, spread_y = max(1, grid.width // 6), max(1, grid.height // 6)
    x, y = grid.width // 2, grid.height // 2
    return [
        (x + rng.randint(-spread_x, spread_x), y + rng.randint(-spread_y, spread_y))
        for _ in range(count)
    ]


def _anchor(rng: random.Random, grid: TrackGrid, hubs: list[GridPoint]) -> GridPoint:
    """Return a hub that still has room and keeps the network connected."""
    open_hubs = [hub for hub in hubs if len(grid.nodes.get(hub, ())) < grid.lines_at_node]
    if grid.nodes:
        open_hubs = [hub for hub in open_hubs if hub in grid.nodes]
    return rng.choice(open_hubs) if open_hubs else rng.choice(grid.open_nodes())


def _join(rng: random.Random, grid: TrackGrid) -> tuple[GridPoint, ...]:
    """Return a node of an earlier line near the center, or a central point for the first line."""
    if not grid.nodes:
        return tuple(_hubs(rng, grid, 1))
    center = (grid.width // 2, grid.height // 2)
    some = [rng.choice(grid.open_nodes()) for _ in range(3)]
    return (min(some, key=lambda p: (abs(p[0] - center[0]) + abs(p[1] - center[1]), p)),)


def _rim(rng: random.Random, grid: TrackGrid, turn: int) -> GridPoint:
    """Return a point near the rim, at one of sixteen bearings counted clockwise from east."""
    ratios = ((2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (-1, 2), (-2, 2), (-2, 1))
    dx, dy = ratios[turn % 8]
    if turn % 16 >= 8:
        dx, dy = -dx, -dy
    reach = rng.randint(78, 100)
    x = (grid.width - 1) * (200 + dx * reach) // 400
    y = (grid.height - 1) * (200 + dy * reach) // 400
    return x, y
