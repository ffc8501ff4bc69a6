"""Move plain stops along their track to where their labels have room.

A schematic map keeps order and connections, not distances: a stop between two others may be
anywhere on the track between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork

TrackGraph = dict[GridPoint, dict[GridPoint, None]]


def track_graph(placed: PlacedNetwork) -> TrackGraph:
    """Return the adjacent nodes along the track for each node."""
    around: TrackGraph = {}
    for path in (path for paths in placed.courses for path in paths):
        for a, b in pairwise(path):
            around.setdefault(a, {})[b] = None
            around.setdefault(b, {})[a] = None
    return around


def free_positions(placed: PlacedNetwork, around: TrackGraph, stop: int) -> list[GridPoint]:
    """Return where a stop could be instead, nearest first; none for ends and junctions."""
    start = placed.positions[stop]
    ends = {point for paths in placed.courses for path in paths for point in (path[0], path[-1])}
    taken = set(placed.positions)
    if start in ends or len(around[start]) != 2:
        return []
    arms = [list(_free_run(around, taken, start, first)) for first in around[start]]
    longest = max(len(arm) for arm in arms)
    return [arm[i] for i in range(longest) for arm in arms if i < len(arm)]


def _free_run(
    around: TrackGraph, taken: set[GridPoint], before: GridPoint, node: GridPoint
) -> Iterator[GridPoint]:
    while node not in taken and len(around[node]) == 2:
        yield node
        before, node = node, next(other for other in around[node] if other != before)


def with_stops_at(placed: PlacedNetwork, moves: Sequence[tuple[int, GridPoint]]) -> PlacedNetwork:
    """Return the network with some stops moved to other nodes."""
    positions = list(placed.positions)
    for stop, point in moves:
        positions[stop] = point
    return replace(placed, positions=tuple(positions))
