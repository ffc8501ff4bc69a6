"""Split a network into edges: track between the stops that shape the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rewardmap_verl.drawing.scene import Point
from rewardmap_verl.transit.network import Network

_DETOUR = 1.25
"""An express line follows the local line if that path is at most this many times longer."""
_MAX_BOW = 0.3
"""Largest distance from an edge to its chord, as a share of the chord, before the edge is split."""

Runs = tuple[tuple[tuple[int, ...], ...], ...]
"""For each line and path, every stop along the track, including stops passed without calling."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Track between two key stops, used by the same lines throughout."""

    stops: tuple[int, ...]
    lines: frozenset[int]

    @property
    def ends(self) -> tuple[int, int]:
        """Return the two key stops."""
        return self.stops[0], self.stops[-1]


def find_runs(network: Network, points: Sequence[Point]) -> Runs:
    """Return the stops along each line; an express line passes the stops of the line it follows.

    A line may pass a stop without calling only where its track continues without a junction. Drawn
    through the middle of a junction, it would look as if it called there, so such a line gets
    separate track instead.
    """
    paths_at: dict[int, list[tuple[int, ...]]] = {}
    directed = (p for line in network.lines for path in line.paths for p in (path, path[::-1]))
    for other in directed:
        for stop in set(other):
            paths_at.setdefault(stop, []).append(other)
    blocked: set[int] = set()
    while True:
        runs = tuple(
            tuple(_run(path, paths_at, blocked, points) for path in line.paths)
            for line in network.lines
        )
        wrong = _passed_at_junctions(network, runs) - blocked
        if not wrong:
            return runs
        blocked |= wrong


def _passed_at_junctions(network: Network, runs: Runs) -> set[int]:
    """Return the junctions that some line passes without calling."""
    around: dict[int, set[int]] = {}
    for a, b in (pair for paths in runs for path in paths for pair in pairwise(path)):
        around.setdefault(a, set()).add(b)
        around.setdefault(b, set()).add(a)
    passed: set[int] = set()
    for line, paths in zip(network.lines, runs, strict=True):
        called = {stop for path in line.paths for stop in path}
        passed |= {stop for path in paths for stop in path} - called
    return {stop for stop in passed if len(around[stop]) > 2}


def _run(
    path: Sequence[int],
    paths_at: dict[int, list[tuple[int, ...]]],
    blocked: set[int],
    points: Sequence[Point],
) -> tuple[int, ...]:
    run = [path[0]]
    closed = set(path) | blocked
    for a, b in pairwise(path):
        run.extend(_between(a, b, closed, paths_at[a], points))
        run.append(b)
    return tuple(run)


def _between(
    a: int, b: int, closed: set[int], paths_through: list[tuple[int, ...]], points: Sequence[Point]
) -> tuple[int, ...]:
    """Return the stops of another line between ``a`` and ``b``; empty if that path is a detour."""
    best: tuple[int, ...] = ()
    for other in paths_through:
        start = other.index(a)
        if b not in other[start + 2 :]:
            continue
        inner = other[start + 1 : other.index(b, start + 2)]
        if not closed.isdisjoint(inner) or len(inner) <= len(best):
            continue
        length = sum(_distance(points[p], points[q]) for p, q in pairwise((a, *inner, b)))
        if length <= _DETOUR * _distance(points[a], points[b]):
            best = inner
    return best


def find_edges(network: Network, runs: Runs, points: Sequence[Point]) -> list[Edge]:
    """Return every edge once, in the order of the lines."""
    users: dict[frozenset[int], set[int]] = {}
    around: dict[int, dict[int, None]] = {}
    for line, paths in enumerate(runs):
        for a, b in (pair for path in paths for pair in pairwise(path)):
            users.setdefault(frozenset((a, b)), set()).add(line)
            around.setdefault(a, {})[b] = None
            around.setdefault(b, {})[a] = None
    keys = _key_stops(runs, users, around)
    edges: list[Edge] = []
    seen: set[frozenset[int]] = set()
    for path in (path for paths in runs for path in paths):
        for stops in _cut(path, keys):
            if frozenset(stops[:2]) not in seen:
                seen.update(frozenset(pair) for pair in pairwise(stops))
                lines = frozenset(users[frozenset(stops[:2])])
                edges += [Edge(part, lines) for part in _split_bows(stops, points)]
    return edges


def _key_stops(
    runs: Runs, users: dict[frozenset[int], set[int]], around: dict[int, dict[int, None]]
) -> set[int]:
    """Return the stops where lines end, meet, diverge or cross."""
    keys = {stop for paths in runs for path in paths for stop in (path[0], path[-1])}
    for stop, others in around.items():
        sets = [users[frozenset((stop, other))] for other in others]
        if len(others) != 2 or sets[0] != sets[1]:
            keys.add(stop)
    return keys


def _cut(path: Sequence[int], keys: set[int]) -> list[tuple[int, ...]]:
    cuts = [i for i, stop in enumerate(path) if stop in keys]
    return [tuple(path[low : high + 1]) for low, high in pairwise(cuts)]


def _split_bows(stops: tuple[int, ...], points: Sequence[Point]) -> list[tuple[int, ...]]:
    """Split an edge recursively where it strays from its chord; split a loop into three."""
    if len(stops) < 3:
        return [stops]
    a, b = points[stops[0]], points[stops[-1]]
    chord = _distance(a, b)
    if stops[0] == stops[-1]:
        third = max(1, len(stops) // 3)
        parts = [stops[: third + 1], stops[third : 2 * third + 1], stops[2 * third :]]
        return [piece for part in parts if len(part) > 1 for piece in _split_bows(part, points)]
    offsets = [_distance_to_segment(a, b, points[stop]) for stop in stops[1:-1]]
    worst = max(range(len(offsets)), key=lambda i: (offsets[i], -i))
    if offsets[worst] <= _MAX_BOW * chord:
        return [stops]
    cut = worst + 1
    return [*_split_bows(stops[: cut + 1], points), *_split_bows(stops[cut:], points)]


def _distance_to_segment(a: Point, b: Point, p: Point) -> float:
    """Return the distance of ``p`` from the segment between ``a`` and ``b``."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    t = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / square if square else 0.0
    t = min(1.0, max(0.0, t))
    return _distance((a[0] + t * dx, a[1] + t * dy), p)


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)
