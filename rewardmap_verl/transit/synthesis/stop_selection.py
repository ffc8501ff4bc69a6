"""Choose which nodes with track become stops."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rewardmap_verl.transit.placement import GridPoint
from rewardmap_verl.transit.synthesis.track_grid import TrackGrid


@dataclass(frozen=True, slots=True)
class Corridor:
    """Track between two fixed nodes; ``inner`` are the nodes in between."""

    inner: tuple[GridPoint, ...]
    bends: frozenset[GridPoint]


def fixed_nodes(grid: TrackGrid) -> frozenset[GridPoint]:
    """Return the nodes that must be stops: ends of paths, and where lines meet, cross or diverge.

    A stop at every crossing keeps the map unambiguous: two lines that touch always share a stop
    there.
    """
    fixed = {path[0] for paths in grid.paths.values() for path in paths}
    fixed |= {path[-1] for paths in grid.paths.values() for path in paths}
    around: dict[GridPoint, set[frozenset[int]]] = {}
    degree: dict[GridPoint, int] = {}
    for (a, b), lines in grid.edges.items():
        for node in (a, b):
            around.setdefault(node, set()).add(frozenset(lines))
            degree[node] = degree.get(node, 0) + 1
    fixed |= {node for node, sets in around.items() if len(sets) > 1 or degree[node] > 2}
    return frozenset(fixed)


def corridors(grid: TrackGrid, fixed: frozenset[GridPoint]) -> list[Corridor]:
    """Return every piece of track between adjacent fixed nodes once, in the order of the lines."""
    found: list[Corridor] = []
    seen: set[GridPoint] = set()
    for line in sorted(grid.paths):
        for path in grid.paths[line]:
            cuts = [i for i, node in enumerate(path) if node in fixed]
            for low, high in itertools.pairwise(cuts):
                inner = path[low + 1 : high]
                if inner and inner[0] not in seen:
                    seen.update(inner)
                    found.append(Corridor(inner, _bends(path[low : high + 1])))
    return found


def select_stops(rng: random.Random, grid: TrackGrid, target: int) -> frozenset[GridPoint] | None:
    """Choose ``target`` nodes as stops, evenly spread; None if that is impossible."""
    fixed = fixed_nodes(grid)
    found_corridors = corridors(grid, fixed)
    counts = _distribute(
        rng, [len(corridor.inner) for corridor in found_corridors], target - len(fixed)
    )
    if counts is None:
        return None
    chosen = set(fixed)
    for corridor, count in zip(found_corridors, counts, strict=True):
        chosen.update(_spread(corridor, count))
    return frozenset(chosen)


def stops_along(path: Iterable[GridPoint], stops: frozenset[GridPoint]) -> tuple[GridPoint, ...]:
    """Return the stops along a path, in running order."""
    return tuple(node for node in path if node in stops)


def _distribute(rng: random.Random, room: Sequence[int], amount: int) -> list[int] | None:
    """Assign stops to corridors one at a time where the spacing is widest."""
    if amount < 0 or amount > sum(room):
        return None
    counts = [0] * len(room)
    order = list(range(len(room)))
    rng.shuffle(order)
    for _ in range(amount):
        best = max(
            (i for i in order if counts[i] < room[i]),
            key=lambda i: (room[i] + 1) * 1000 // (counts[i] + 1),
        )
        counts[best] += 1
    return counts


def _spread(corridor: Corridor, count: int) -> set[GridPoint]:
    """Return evenly spaced nodes of a corridor, moved off bends where an adjacent node is free."""
    size = len(corridor.inner)
    indexes = {((2 * i + 1) * size) // (2 * count) for i in range(count)}
    for index in sorted(indexes):
        if corridor.inner[index] not in corridor.bends:
            continue
        for other in (index - 1, index + 1):
            straight = 0 <= other < size and corridor.inner[other] not in corridor.bends
            if straight and other not in indexes:
                indexes.remove(index)
                indexes.add(other)
                break
    return {corridor.inner[index] for index in indexes}


def _bends(path: Sequence[GridPoint]) -> frozenset[GridPoint]:
    triples = zip(path, path[1:], path[2:], strict=False)
    return frozenset(
        b for a, b, c in triples if (b[0] - a[0], b[1] - a[1]) != (c[0] - b[0], c[1] - b[1])
    )
