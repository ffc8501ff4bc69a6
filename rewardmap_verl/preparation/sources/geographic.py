"""Stops on a drawing grid by where they lie: neighbours keep their directions, centres get room."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.gtfs_network import Located
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork

__all__ = ["MOST_STOPS", "place_by_coordinates"]

MOST_STOPS = 400
"""Stops that a drawn map can show with legible names."""

_NODES_PER_STOP = 3.0  # along an axis, for the square root of the number of stops
_FEWEST_NODES = 6
_CLEARANCE = 0.5  # grid units between a stop and a line that does not call there
_ROUNDS = 4
_CANDIDATES = 80
_DIGITS = 6  # coordinates are rounded before they decide, so that all machines decide alike

_Edge = tuple[int, int]


def place_by_coordinates(located: Located) -> PlacedNetwork:
    """Lay out a network for the renderer.

    Half of a stop's place on each axis comes from its coordinate and half from its rank among the
    stops, which spreads the crowded centre and keeps what is left, right, above and below. A stop
    that a line of others would pass through is moved aside.

    Raises:
        DataError: The network has more stops than a drawn map can show.
    """
    network = located.network
    if len(network.stops) > MOST_STOPS:
        raise DataError(
            f"{network.country}/{network.city}",
            "stops",
            len(network.stops),
            f"A drawn map shows at most {MOST_STOPS}; take fewer kinds of routes (--route-type).",
        )
    positions = _snapped(_wishes(located.places))
    edges = _edges(network)
    for _ in range(_ROUNDS):
        if not _make_way(positions, edges):
            break
    courses = tuple(
        tuple(tuple(positions[stop] for stop in path) for path in line.paths)
        for line in network.lines
    )
    title = network.city.replace("_", " ").title()
    return PlacedNetwork(network, tuple(positions), courses, title)


def _wishes(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Where each stop would like to be, in grid units."""
    middle = math.radians(sum(latitude for latitude, _ in places) / len(places))
    across = [round(longitude * math.cos(middle), _DIGITS) for _, longitude in places]
    down = [round(-latitude, _DIGITS) for latitude, _ in places]
    width, height = max(across) - min(across), max(down) - min(down)
    longer = max(_FEWEST_NODES, math.ceil(_NODES_PER_STOP * math.sqrt(len(places))))
    shares = [max(0.5, side / max(width, height, 1e-9)) for side in (width, height)]
    columns, rows = (_spread(axis) for axis in (across, down))
    return [
        (x * longer * shares[0], y * longer * shares[1]) for x, y in zip(columns, rows, strict=True)
    ]


def _spread(values: Sequence[float]) -> list[float]:
    """Map an axis to 0..1, half by value and half by rank."""
    distinct = sorted(set(values))
    if len(distinct) == 1:
        return [0.5] * len(values)
    rank = {value: i / (len(distinct) - 1) for i, value in enumerate(distinct)}
    low, extent = distinct[0], distinct[-1] - distinct[0]
    return [round(((value - low) / extent + rank[value]) / 2, _DIGITS) for value in values]


def _snapped(wishes: Sequence[tuple[float, float]]) -> list[GridPoint]:
    """Give each stop the free grid node nearest to its wish."""
    taken: set[GridPoint] = set()
    positions = []
    for x, y in wishes:
        node = next(n for n in _around((round(x), round(y))) if n not in taken)
        taken.add(node)
        positions.append(node)
    return positions


def _around(centre: GridPoint) -> Iterator[GridPoint]:
    """Yield the nodes around a node, ring by ring and the nearest of each ring first."""
    radius = 0
    while True:
        ring = [
            (dx, dy)
            for dx in range(-radius, radius + 1)
            for dy in range(-radius, radius + 1)
            if max(abs(dx), abs(dy)) == radius
        ]
        for dx, dy in sorted(ring, key=lambda d: (d[0] ** 2 + d[1] ** 2, d)):
            yield centre[0] + dx, centre[1] + dy
        radius += 1


def _edges(network: Network) -> list[_Edge]:
    found = {
        (min(a, b), max(a, b)): None
        for line in network.lines
        for path in line.paths
        for a, b in pairwise(path)
    }
    return list(found)


def _make_way(positions: list[GridPoint], edges: Sequence[_Edge]) -> bool:
    """Move stops that stand on a line which does not call there; say whether one was moved."""
    moved = False
    for stop, place in enumerate(positions):
        if _faults(stop, place, positions, edges) == 0:
            continue
        taken = set(positions)
        free = (node for node in islice(_around(place), _CANDIDATES) if node not in taken)
        best = min(free, key=lambda node: _faults(stop, node, positions, edges), default=place)
        if _faults(stop, best, positions, edges) < _faults(stop, place, positions, edges):
            positions[stop] = best
            moved = True
    return moved


def _faults(
    stop: int, place: GridPoint, positions: Sequence[GridPoint], edges: Sequence[_Edge]
) -> int:
    """Count lines that would pass through the stop, and stops that its own lines would pass."""
    faults = 0
    for a, b in edges:
        if stop in (a, b):
            other = positions[b if stop == a else a]
            faults += sum(
                _is_near(positions[third], place, other)
                for third in range(len(positions))
                if third not in (a, b)
            )
        else:
            faults += _is_near(place, positions[a], positions[b])
    return faults


def _is_near(point: GridPoint, start: GridPoint, end: GridPoint) -> bool:
    """Whether a point lies closer to a segment than the clearance."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    px, py = point[0] - start[0], point[1] - start[1]
    length = dx * dx + dy * dy
    along = dx * px + dy * py
    if not 0 < along < length:
        return False
    cross = dx * py - dy * px
    return cross * cross < _CLEARANCE**2 * length
