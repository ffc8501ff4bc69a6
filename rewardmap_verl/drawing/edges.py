"""Cut a network into edges: track between stops that matter for the shape of the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rewardmap_verl.drawing.scene import Point
from rewardmap_verl.transit.network import Network

_DETOUR = 1.25
"""A line that skips stops runs on another's track when that is not much longer than straight."""
_BOW = 0.3
"""A edge is cut where it strays from its chord by this share of the chord."""

Runs = tuple[tuple[tuple[int, ...], ...], ...]
"""For each line and path, every stop that the line passes, calling there or not."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Track from one key stop to another, used by the same lines all along."""

    stops: tuple[int, ...]
    lines: frozenset[int]

    @property
    def ends(self) -> tuple[int, int]:
        """Its two key stops."""
        return self.stops[0], self.stops[-1]


def find_runs(network: Network, places: Sequence[Point]) -> Runs:
    """Where each line runs; express lines pass the stops of the line whose track they use.

    A line may pass a stop only where its track runs on without a junction: through the middle of a
    junction it would look as if it called there. Such lines get a track of their own instead.
    """
    ways = [way for line in network.lines for path in line.paths for way in (path, path[::-1])]
    followers: dict[int, list[tuple[int, ...]]] = {}
    for way in ways:
        for stop in set(way):
            followers.setdefault(stop, []).append(way)
    barred: set[int] = set()
    while True:
        runs = tuple(
            tuple(_run(path, followers, barred, places) for path in line.paths)
            for line in network.lines
        )
        wrong = _passed_at_junctions(network, runs) - barred
        if not wrong:
            return runs
        barred |= wrong


def _passed_at_junctions(network: Network, runs: Runs) -> set[int]:
    """Stops where track parts or crosses and where some line passes without calling."""
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
    followers: dict[int, list[tuple[int, ...]]],
    barred: set[int],
    places: Sequence[Point],
) -> tuple[int, ...]:
    run = [path[0]]
    closed = set(path) | barred
    for a, b in pairwise(path):
        run.extend(_between(a, b, closed, followers[a], places))
        run.append(b)
    return tuple(run)


def _between(
    a: int, b: int, closed: set[int], ways: list[tuple[int, ...]], places: Sequence[Point]
) -> tuple[int, ...]:
    """The stops of another line on the way from ``a`` to ``b``; none when it is a detour."""
    best: tuple[int, ...] = ()
    for way in ways:
        start = way.index(a)
        if b not in way[start + 2 :]:
            continue
        inner = way[start + 1 : way.index(b, start + 2)]
        if not closed.isdisjoint(inner) or len(inner) <= len(best):
            continue
        length = sum(_distance(places[p], places[q]) for p, q in pairwise((a, *inner, b)))
        if length <= _DETOUR * _distance(places[a], places[b]):
            best = inner
    return best


def find_edges(network: Network, runs: Runs, places: Sequence[Point]) -> list[Edge]:
    """Every edge once, in the order of the lines."""
    users: dict[frozenset[int], set[int]] = {}
    around: dict[int, dict[int, None]] = {}
    for line, paths in enumerate(runs):
        for a, b in (pair for path in paths for pair in pairwise(path)):
            users.setdefault(frozenset((a, b)), set()).add(line)
            around.setdefault(a, {})[b] = None
            around.setdefault(b, {})[a] = None
    keys = _keys(runs, users, around)
    edges: list[Edge] = []
    seen: set[frozenset[int]] = set()
    for path in (path for paths in runs for path in paths):
        for stops in _cut(path, keys):
            if frozenset(stops[:2]) not in seen:
                seen.update(frozenset(pair) for pair in pairwise(stops))
                lines = frozenset(users[frozenset(stops[:2])])
                edges += [Edge(part, lines) for part in _unbowed(stops, places)]
    return edges


def _keys(
    runs: Runs, users: dict[frozenset[int], set[int]], around: dict[int, dict[int, None]]
) -> set[int]:
    """Stops where lines end, meet, part or cross."""
    keys = {stop for paths in runs for path in paths for stop in (path[0], path[-1])}
    for stop, others in around.items():
        sets = [users[frozenset((stop, other))] for other in others]
        if len(others) != 2 or sets[0] != sets[1]:
            keys.add(stop)
    return keys


def _cut(path: Sequence[int], keys: set[int]) -> list[tuple[int, ...]]:
    cuts = [i for i, stop in enumerate(path) if stop in keys]
    return [tuple(path[low : high + 1]) for low, high in pairwise(cuts)]


def _unbowed(stops: tuple[int, ...], places: Sequence[Point]) -> list[tuple[int, ...]]:
    """Cut a edge where it bows away from its chord, again and again; a loop into three."""
    if len(stops) < 3:
        return [stops]
    a, b = places[stops[0]], places[stops[-1]]
    chord = _distance(a, b)
    if stops[0] == stops[-1]:
        third = max(1, len(stops) // 3)
        parts = [stops[: third + 1], stops[third : 2 * third + 1], stops[2 * third :]]
        return [piece for part in parts if len(part) > 1 for piece in _unbowed(part, places)]
    strays = [_stray(a, b, places[stop]) for stop in stops[1:-1]]
    worst = max(range(len(strays)), key=lambda i: (strays[i], -i))
    if strays[worst] <= _BOW * chord:
        return [stops]
    cut = worst + 1
    return [*_unbowed(stops[: cut + 1], places), *_unbowed(stops[cut:], places)]


def _stray(a: Point, b: Point, p: Point) -> float:
    """How far a point is from the segment between two others."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    t = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / square if square else 0.0
    t = min(1.0, max(0.0, t))
    return _distance((a[0] + t * dx, a[1] + t * dy), p)


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)
