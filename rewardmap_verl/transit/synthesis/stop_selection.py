"""Where trains call: which of the nodes that carry track become stops."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rewardmap_verl.transit.placement import GridPoint
from rewardmap_verl.transit.synthesis.track_grid import TrackGrid


@dataclass(frozen=True, slots=True)
class Corridor:
    """Track between two nodes where something happens; ``inner`` are the nodes between them."""

    inner: tuple[GridPoint, ...]
    bends: frozenset[GridPoint]


def fixed_nodes(tracks: TrackGrid) -> frozenset[GridPoint]:
    """Nodes where trains must call: ends of paths, and where lines meet, cross or part.

    Calling at every crossing is what keeps a drawn map unambiguous: two lines that touch always
    share a stop there.
    """
    fixed = {path[0] for paths in tracks.paths.values() for path in paths}
    fixed |= {path[-1] for paths in tracks.paths.values() for path in paths}
    around: dict[GridPoint, set[frozenset[int]]] = {}
    degree: dict[GridPoint, int] = {}
    for (a, b), lines in tracks.edges.items():
        for node in (a, b):
            around.setdefault(node, set()).add(frozenset(lines))
            degree[node] = degree.get(node, 0) + 1
    fixed |= {node for node, sets in around.items() if len(sets) > 1 or degree[node] > 2}
    return frozenset(fixed)


def corridors(tracks: TrackGrid, fixed: frozenset[GridPoint]) -> list[Corridor]:
    """Every piece of track between neighboring fixed nodes, once, in the order of the lines."""
    found: list[Corridor] = []
    seen: set[GridPoint] = set()
    for line in sorted(tracks.paths):
        for path in tracks.paths[line]:
            cuts = [i for i, node in enumerate(path) if node in fixed]
            for low, high in itertools.pairwise(cuts):
                inner = path[low + 1 : high]
                if inner and inner[0] not in seen:
                    seen.update(inner)
                    found.append(Corridor(inner, _bends(path[low : high + 1])))
    return found


def select_stops(rng: random.Random, tracks: TrackGrid, target: int) -> frozenset[GridPoint] | None:
    """Choose ``target`` nodes to be stops, spread evenly; None where that cannot be."""
    fixed = fixed_nodes(tracks)
    pieces = corridors(tracks, fixed)
    counts = _distribute(rng, [len(piece.inner) for piece in pieces], target - len(fixed))
    if counts is None:
        return None
    chosen = set(fixed)
    for piece, count in zip(pieces, counts, strict=True):
        chosen.update(_spread(piece, count))
    return frozenset(chosen)


def stops_along(path: Iterable[GridPoint], stops: frozenset[GridPoint]) -> tuple[GridPoint, ...]:
    """The stops along a path, in running order."""
    return tuple(node for node in path if node in stops)


def _distribute(rng: random.Random, room: Sequence[int], amount: int) -> list[int] | None:
    """Give out stops one by one where the gap between stops is widest."""
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


def _spread(piece: Corridor, count: int) -> set[GridPoint]:
    """Even places along a corridor, moved off its bends where a neighbor is free."""
    size = len(piece.inner)
    places = {((2 * i + 1) * size) // (2 * count) for i in range(count)}
    for place in sorted(places):
        if piece.inner[place] not in piece.bends:
            continue
        for other in (place - 1, place + 1):
            straight = 0 <= other < size and piece.inner[other] not in piece.bends
            if straight and other not in places:
                places.remove(place)
                places.add(other)
                break
    return {piece.inner[place] for place in places}


def _bends(path: Sequence[GridPoint]) -> frozenset[GridPoint]:
    triples = zip(path, path[1:], path[2:], strict=False)
    return frozenset(
        b for a, b, c in triples if (b[0] - a[0], b[1] - a[1]) != (c[0] - b[0], c[1] - b[1])
    )
