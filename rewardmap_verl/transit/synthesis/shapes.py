"""Families of networks: which points each line has to visit, before its way is searched.

Real networks are radial (lines through a center), grids (lines across the city both ways), rings
(a loop that radial lines cross) or grown over time (each line meets some earlier one).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from rewardmap_verl.transit.placement import GridPoint
from rewardmap_verl.transit.synthesis.track_grid import TrackGrid

Waypoints = tuple[GridPoint, ...]
Shape = Callable[[random.Random, TrackGrid, int], Iterator[Waypoints]]
"""Given the tracks layout so far and the total of lines: proposals for the next line, endless."""


def radial(rng: random.Random, tracks: TrackGrid, total: int) -> Iterator[Waypoints]:
    """Lines from edge to edge through one of a few hubs near the center."""
    hubs = _hubs(rng, tracks, 1 + total // 4)
    turn = rng.randrange(8)
    while True:
        turn += rng.choice((1, 1, 2, 3))
        start = _rim(rng, tracks, turn * 2)
        end = _rim(rng, tracks, turn * 2 + 8 + rng.randint(-2, 2))
        yield _distinct(start, _anchor(rng, tracks, hubs), end)


def crossing(rng: random.Random, tracks: TrackGrid, total: int) -> Iterator[Waypoints]:
    """Lines across the city, now west to east, now north to south."""
    across = rng.random() < 0.5
    while True:
        start = _rim(rng, tracks, (8 if across else 12) + rng.randint(-2, 2))
        end = _rim(rng, tracks, (0 if across else 4) + rng.randint(-2, 2))
        yield _distinct(start, *_join(rng, tracks), end)
        across = not across


def grown(rng: random.Random, tracks: TrackGrid, total: int) -> Iterator[Waypoints]:
    """Each line starts on the rim, meets an earlier line and ends somewhere else."""
    while True:
        turn = rng.randrange(16)
        end = _rim(rng, tracks, turn + rng.randint(5, 11))
        if rng.random() < 0.25 and tracks.nodes:
            yield _distinct(_rim(rng, tracks, turn), *_join(rng, tracks))
        else:
            yield _distinct(_rim(rng, tracks, turn), *_join(rng, tracks), end)


SHAPES: dict[str, Shape] = {"radial": radial, "grid": crossing, "ring": radial, "grown": grown}


def ring_path(rng: random.Random, tracks: TrackGrid) -> tuple[GridPoint, ...]:
    """A closed octagon around the center of the grid; the last point is the first."""
    left, right = _middle_part(rng, tracks.width)
    top, bottom = _middle_part(rng, tracks.height)
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
    """The points without repeats, in order."""
    return tuple(dict.fromkeys(points))


def _hubs(rng: random.Random, tracks: TrackGrid, count: int) -> list[GridPoint]:
    spread_x, spread_y = max(1, tracks.width // 6), max(1, tracks.height // 6)
    x, y = tracks.width // 2, tracks.height // 2
    return [
        (x + rng.randint(-spread_x, spread_x), y + rng.randint(-spread_y, spread_y))
        for _ in range(count)
    ]


def _anchor(rng: random.Random, tracks: TrackGrid, hubs: list[GridPoint]) -> GridPoint:
    """A hub that still has room and keeps the network in one piece."""
    open_hubs = [hub for hub in hubs if len(tracks.nodes.get(hub, ())) < tracks.lines_at_node]
    if tracks.nodes:
        open_hubs = [hub for hub in open_hubs if hub in tracks.nodes]
    return rng.choice(open_hubs) if open_hubs else rng.choice(tracks.open_nodes())


def _join(rng: random.Random, tracks: TrackGrid) -> tuple[GridPoint, ...]:
    """A node of an earlier line, rather near the center, or a point in the middle for line one."""
    if not tracks.nodes:
        return tuple(_hubs(rng, tracks, 1))
    center = (tracks.width // 2, tracks.height // 2)
    some = [rng.choice(tracks.open_nodes()) for _ in range(3)]
    return (min(some, key=lambda p: (abs(p[0] - center[0]) + abs(p[1] - center[1]), p)),)


def _rim(rng: random.Random, tracks: TrackGrid, turn: int) -> GridPoint:
    """A point near the rim, at one of sixteen bearings counted clockwise from east."""
    ratios = ((2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (-1, 2), (-2, 2), (-2, 1))
    dx, dy = ratios[turn % 8]
    if turn % 16 >= 8:
        dx, dy = -dx, -dy
    reach = rng.randint(78, 100)
    x = (tracks.width - 1) * (200 + dx * reach) // 400
    y = (tracks.height - 1) * (200 + dy * reach) // 400
    return x, y
