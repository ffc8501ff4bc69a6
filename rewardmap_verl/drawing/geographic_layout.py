"""Lay out a network whose stops have coordinates as a schematic map.

The way of a cartographer: keep which stop is north of which and give up distance. Stretches of line
between interchanges, ends and sharp bends become springs that want their true direction, turned to
the next multiple of 45 degrees, and a length by their number of stops; where the springs come to
rest, the edges are routed over an octilinear grid (after Bast, Brosi and Storandt, "Metro maps
on octilinear grid graphs", 2020), and the stops in between are spread along them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, pairwise

from rewardmap_verl.drawing.edges import Edge, find_edges, find_runs
from rewardmap_verl.drawing.scene import Point
from rewardmap_verl.errors import DataError
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork
from rewardmap_verl.transit.synthesis.track_grid import (
    DIRECTIONS,
    PathQuery,
    TrackGrid,
    direction_of,
    find_path,
)

_DIGITS = 6
"""Values are rounded before they are compared, so that all machines decide alike."""
_STEPS_PER_STOP = (2, 3, 4, 6)
"""Grids to try, each finer than the last."""
_NODES_PER_STOP = 1.6
"""What ``PlacedNetwork.grain`` 1 stands for."""
_ROUNDS = 200
_ANCHOR = 0.02
"""Pull to the true place, against 1 for the springs."""
_CROSSING = 40
_PADDING = 4
_SHARP = (0, 2, 10, 40, 400)
"""Price of leaving a stop at an angle to the line that arrives, by eighths of a full turn."""
_CLOSE = 25
"""Price of leaving a stop next to another edge."""


def layout_from_coordinates(
    network: Network, coordinates: Sequence[tuple[float, float]], title: str = ""
) -> PlacedNetwork:
    """LabelCandidate a network by the coordinates of its stops.

    Args:
        network: Any network; lines that skip stops of another line run on its track.
        coordinates: Latitude and longitude in degrees of each stop, in the order of
            ``network.stops``.
        title: What the map is headed with.

    Returns:
        The placement: the order of stops along each line is that of the network, directions are
        about those of the coordinates, distances are not.

    Raises:
        DataError: Coordinates are missing or out of range.
    """
    places = _project(network, coordinates)
    runs = find_runs(network, places)
    edges = find_edges(network, runs, places)
    rest = _relax(edges, places)
    for steps in _STEPS_PER_STOP:
        ways = _route(edges, rest, steps)
        spots = _spread_stops(edges, ways) if ways else None
        if ways and spots:
            return _placed(network, runs, ways, spots, steps, title)
    return _straight(network, runs, places, title)


def _project(network: Network, coordinates: Sequence[tuple[float, float]]) -> list[Point]:
    """Equirectangular: x east, y south, in degrees of latitude."""
    where = f"{network.country}/{network.city}"
    if len(coordinates) != len(network.stops):
        found = f"{len(coordinates)} for {len(network.stops)} stops"
        raise DataError(where, "coordinates", found, "Give latitude and longitude of every stop.")
    for stop, (latitude, longitude) in zip(network.stops, coordinates, strict=True):
        if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # also false for nan
            hint = "Latitudes lie within -90 to 90 and longitudes within -180 to 180."
            raise DataError(f"{where}, {stop.name}", "coordinates", (latitude, longitude), hint)
    middle = sum(latitude for latitude, _ in coordinates) / len(coordinates)
    narrow = math.cos(math.radians(middle))
    return [(longitude * narrow, -latitude) for latitude, longitude in coordinates]


def _relax(edges: Sequence[Edge], places: Sequence[Point]) -> dict[int, Point]:
    """Where the key stops come to rest, in units of one stop's distance.

    Each edge wants its octilinear direction and a length of one per stop; a weak anchor keeps
    the whole in place. The sum of squares is lowered stop by stop (Gauss-Seidel).
    """
    keys = sorted({key for edge in edges for key in edge.ends})
    scale = _scale(edges, places)
    anchor = {key: (places[key][0] / scale, places[key][1] / scale) for key in keys}
    pulls: dict[int, list[tuple[int, float, float, float]]] = {key: [] for key in keys}
    for edge in edges:
        a, b = edge.ends
        dx, dy = _wish(anchor[a], anchor[b], len(edge.stops) - 1)
        weight = 1.0 / (len(edge.stops) - 1)
        pulls[a].append((b, -dx, -dy, weight))
        pulls[b].append((a, dx, dy, weight))
    rest = dict(anchor)
    for _ in range(_ROUNDS):
        for key in keys:
            total = _ANCHOR + sum(weight for *_, weight in pulls[key])
            x = _ANCHOR * anchor[key][0] + sum(w * (rest[o][0] + dx) for o, dx, _, w in pulls[key])
            y = _ANCHOR * anchor[key][1] + sum(w * (rest[o][1] + dy) for o, _, dy, w in pulls[key])
            rest[key] = (x / total, y / total)
    return rest


def _scale(edges: Sequence[Edge], places: Sequence[Point]) -> float:
    """The median distance of neighboring stops."""
    gaps = sorted(_distance(places[a], places[b]) for s in edges for a, b in pairwise(s.stops))
    positive = [gap for gap in gaps if gap > 0]
    return positive[len(positive) // 2] if positive else 1.0


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _wish(a: Point, b: Point, stops: int) -> Point:
    """The vector of that many stops in the octilinear direction that is nearest to the true one."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    if abs(dy) * 2.4142 < abs(dx):
        dy = 0.0
    elif abs(dx) * 2.4142 < abs(dy):
        dx = 0.0
    else:
        dx, dy = math.copysign(1.0, dx), math.copysign(1.0, dy)
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    return dx / length * stops, dy / length * stops


def _route(
    edges: Sequence[Edge], rest: Mapping[int, Point], steps: int
) -> list[tuple[GridPoint, ...]] | None:
    """A way over the grid for every edge; None when one of them is shut in."""
    nodes = _snap(rest, steps)
    width = max(x for x, _ in nodes.values()) + _PADDING
    height = max(y for _, y in nodes.values()) + _PADDING
    tracks = TrackGrid(width, height, lines_at_node=1000)
    taken = frozenset(nodes.values())
    headings: dict[int, list[tuple[int, frozenset[int]]]] = {}
    ways: dict[int, tuple[GridPoint, ...]] = {}
    for number in sorted(range(len(edges)), key=lambda n: _urgency(edges[n], nodes)):
        edge = edges[number]
        a, b = edge.ends
        query = PathQuery(
            nodes[a],
            nodes[b],
            forbidden=taken - {nodes[a], nodes[b]},
            crossing=_CROSSING,
            leaving=_prices(headings.get(a, []), edge.lines),
            arriving=_turned(_prices(headings.get(b, []), edge.lines)),
        )
        way = find_path(tracks, query)
        if way is None:
            return None
        tracks.add(number, way)
        ways[number] = way
        headings.setdefault(a, []).append((direction_of(way[0], way[1]), edge.lines))
        headings.setdefault(b, []).append((direction_of(way[-1], way[-2]), edge.lines))
    return [ways[number] for number in range(len(edges))]


def _snap(rest: Mapping[int, Point], steps: int) -> dict[int, GridPoint]:
    """A grid node of its own for each key stop, as near as may be, with a free node around it."""
    left = min(x for x, _ in rest.values())
    top = min(y for _, y in rest.values())
    nodes: dict[int, GridPoint] = {}
    taken: set[GridPoint] = set()
    for key, (x, y) in rest.items():
        proposal = ((x - left) * steps + _PADDING, (y - top) * steps + _PADDING)
        node = next(node for node in _around(proposal) if node not in taken)
        nodes[key] = node
        taken |= {(node[0] + dx, node[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    return nodes


def _around(proposal: Point) -> Iterator[GridPoint]:
    """Grid nodes in growing squares around a point, the nearest of each square first."""
    x, y = round(proposal[0]), round(proposal[1])
    for reach in count():
        ring = [
            (x + dx, y + dy)
            for dx in range(-reach, reach + 1)
            for dy in range(-reach, reach + 1)
            if max(abs(dx), abs(dy)) == reach and x + dx > 0 and y + dy > 0
        ]
        yield from sorted(ring, key=lambda node: (_distance(node, proposal), node))


def _urgency(edge: Edge, nodes: Mapping[int, GridPoint]) -> tuple[float, tuple[int, ...]]:
    """Short edges first: they have the least choice."""
    a, b = edge.ends
    return _distance(nodes[a], nodes[b]), edge.stops


def _prices(
    there: Sequence[tuple[int, frozenset[int]]], lines: frozenset[int]
) -> tuple[int | None, ...]:
    """What each direction out of a stop costs, given the edges that are there already."""
    prices: list[int | None] = []
    for direction in range(len(DIRECTIONS)):
        price: int | None = 0
        for other, users in there:
            between = abs((direction - other + 4) % 8 - 4)
            if price is None or between == 0:
                price = None
                continue
            price += _CLOSE if between == 1 else 0
            if users & lines:
                price += _SHARP[4 - between]
        prices.append(price)
    return tuple(prices)


def _turned(prices: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The same prices by the direction of arrival."""
    return prices[4:] + prices[:4]


def _spread_stops(
    edges: Sequence[Edge], ways: Sequence[tuple[GridPoint, ...]]
) -> dict[int, GridPoint] | None:
    """A node for every stop; None when a way is too short for its stops."""
    users: dict[GridPoint, int] = {}
    for way in ways:
        for node in way[1:-1]:
            users[node] = users.get(node, 0) + 1
    spots: dict[int, GridPoint] = {}
    for edge, way in zip(edges, ways, strict=True):
        spots[edge.stops[0]], spots[edge.stops[-1]] = way[0], way[-1]
        inner = edge.stops[1:-1]
        free = [i for i in range(1, len(way) - 1) if users[way[i]] == 1]
        chosen = _evenly(way, free, len(inner))
        if chosen is None:
            return None
        spots.update((stop, way[i]) for stop, i in zip(inner, chosen, strict=True))
    return spots


def _evenly(way: Sequence[GridPoint], free: list[int], amount: int) -> list[int] | None:
    """``amount`` of the free indexes, spread over the way and rather not on its bends."""
    if amount > len(free):
        return None
    chosen: list[int] = []
    for n in range(amount):
        proposal = (n + 1) * (len(way) - 1) / (amount + 1)
        low = chosen[-1] + 1 if chosen else 0
        left = amount - n - 1
        choice = [i for k, i in enumerate(free) if i >= low and len(free) - k - 1 >= left]
        chosen.append(min(choice, key=lambda i: (abs(i - proposal) + 0.6 * _is_bend(way, i), i)))
    return chosen


def _is_bend(way: Sequence[GridPoint], i: int) -> bool:
    (ax, ay), (bx, by), (cx, cy) = way[i - 1], way[i], way[i + 1]
    return (bx - ax, by - ay) != (cx - bx, cy - by)


def _placed(
    network: Network,
    runs: Sequence[Sequence[Sequence[int]]],
    ways: Sequence[tuple[GridPoint, ...]],
    spots: Mapping[int, GridPoint],
    steps: int,
    title: str,
) -> PlacedNetwork:
    """Join the ways to the course of each line."""
    stop_at = {node: stop for stop, node in spots.items()}
    pieces: dict[tuple[int, int], tuple[GridPoint, ...]] = {}
    for way in ways:
        cuts = [i for i, node in enumerate(way) if i in (0, len(way) - 1) or node in stop_at]
        for low, high in pairwise(cuts):
            piece = way[low : high + 1]
            a, b = stop_at[piece[0]], stop_at[piece[-1]]
            pieces[a, b], pieces[b, a] = piece, piece[::-1]
    courses = tuple(
        tuple(_join(pieces[a, b] for a, b in pairwise(run)) for run in line) for line in runs
    )
    positions = tuple(spots[stop.index] for stop in network.stops)
    return PlacedNetwork(network, positions, courses, title, steps / _NODES_PER_STOP)


def _join(pieces: Iterator[tuple[GridPoint, ...]]) -> tuple[GridPoint, ...]:
    joined: list[GridPoint] = []
    for piece in pieces:
        joined.extend(piece[1:] if joined else piece)
    return tuple(joined)


def _spread(values: Sequence[float]) -> list[float]:
    """Move the values of an axis halfway to even distances; order and extent stay."""
    rounded = [round(value, _DIGITS) for value in values]
    rank = {value: i for i, value in enumerate(sorted(set(rounded)))}
    low, extent = min(rounded), max(rounded) - min(rounded)
    step = extent / max(1, len(rank) - 1)
    return [round((value + low + step * rank[value]) / 2, _DIGITS) for value in rounded]


def _straight(
    network: Network, runs: Sequence[Sequence[Sequence[int]]], places: Sequence[Point], title: str
) -> PlacedNetwork:
    """The last resort: stops about where they are, and straight track at any angle between them.

    The crowded center gets room: half of a place on each axis is its rank among the stops.
    """
    gaps = [
        _distance(places[a], places[b]) for line in runs for run in line for a, b in pairwise(run)
    ]
    scale = sorted(gaps)[len(gaps) // 2] or 1.0
    across, down = (_spread([place[axis] / scale for place in places]) for axis in (0, 1))
    nodes = _snap(dict(enumerate(zip(across, down, strict=True))), 8)
    courses = tuple(tuple(tuple(nodes[stop] for stop in run) for run in line) for line in runs)
    positions = tuple(nodes[stop.index] for stop in network.stops)
    return PlacedNetwork(network, positions, courses, title, 8 / _NODES_PER_STOP)
