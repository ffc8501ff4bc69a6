"""Lay out a network whose stops have coordinates as a schematic map.

Relative directions are kept and distances are not. Edges between interchanges, ends and sharp bends
become springs that prefer their true direction, rounded to a multiple of 45 degrees, and a length
proportional to their number of stops. From the relaxed positions, the edges are routed over an
octilinear grid (after Bast, Brosi and Storandt, "Metro maps on octilinear grid graphs", 2020), and
the stops in between are spread along them.
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
"""Grid resolutions to try, coarsest first."""
_NODES_PER_STOP = 1.6
"""Grid nodes per stop at ``PlacedNetwork.grain`` 1."""
_ROUNDS = 200
_ANCHOR = 0.02
"""Stiffness of the pull to the true position, relative to 1 for the springs."""
_CROSSING_COST = 40
_PADDING = 4
_TURN_COSTS = (0, 2, 10, 40, 400)
"""Cost of leaving a stop at an angle to the arriving line, by eighths of a full turn."""
_ADJACENT_COST = 25
"""Cost of leaving a stop in the direction next to another edge."""


def layout_from_coordinates(
    network: Network, coordinates: Sequence[tuple[float, float]], title: str = ""
) -> PlacedNetwork:
    """Place a network by the coordinates of its stops.

    Args:
        network: Any network; an express line follows the track of the line whose stops it skips.
        coordinates: Latitude and longitude in degrees of each stop, in the order of
            ``network.stops``.
        title: Title of the map.

    Returns:
        The placement. The order of stops along each line is exact, directions are approximate, and
        distances are not kept.

    Raises:
        DataError: Coordinates are missing or out of range.
    """
    points = _project(network, coordinates)
    runs = find_runs(network, points)
    edges = find_edges(network, runs, points)
    relaxed = _relax(edges, points)
    for steps in _STEPS_PER_STOP:
        edge_paths = _route(edges, relaxed, steps)
        stop_nodes = _spread_stops(edges, edge_paths) if edge_paths else None
        if edge_paths and stop_nodes:
            return _assemble(network, runs, edge_paths, stop_nodes, steps, title)
    return _straight_line_layout(network, runs, points, title)


def _project(network: Network, coordinates: Sequence[tuple[float, float]]) -> list[Point]:
    """Return the equirectangular projection: x east, y south, in degrees of latitude."""
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


def _relax(edges: Sequence[Edge], points: Sequence[Point]) -> dict[int, Point]:
    """Return the relaxed positions of the key stops, in units of the distance between stops.

    Each edge prefers its octilinear direction and a length of one per stop; a weak anchor keeps the
    map in place. The sum of squares is minimized stop by stop (Gauss-Seidel).
    """
    keys = sorted({key for edge in edges for key in edge.ends})
    scale = _scale(edges, points)
    anchor = {key: (points[key][0] / scale, points[key][1] / scale) for key in keys}
    pulls: dict[int, list[tuple[int, float, float, float]]] = {key: [] for key in keys}
    for edge in edges:
        a, b = edge.ends
        dx, dy = _target_vector(anchor[a], anchor[b], len(edge.stops) - 1)
        weight = 1.0 / (len(edge.stops) - 1)
        pulls[a].append((b, -dx, -dy, weight))
        pulls[b].append((a, dx, dy, weight))
    relaxed = dict(anchor)
    for _ in range(_ROUNDS):
        for key in keys:
            total = _ANCHOR + sum(weight for *_, weight in pulls[key])
            x = _ANCHOR * anchor[key][0] + sum(
                w * (relaxed[o][0] + dx) for o, dx, _, w in pulls[key]
            )
            y = _ANCHOR * anchor[key][1] + sum(
                w * (relaxed[o][1] + dy) for o, _, dy, w in pulls[key]
            )
            relaxed[key] = (x / total, y / total)
    return relaxed


def _scale(edges: Sequence[Edge], points: Sequence[Point]) -> float:
    """Return the median distance between adjacent stops."""
    gaps = sorted(_distance(points[a], points[b]) for s in edges for a, b in pairwise(s.stops))
    positive = [gap for gap in gaps if gap > 0]
    return positive[len(positive) // 2] if positive else 1.0


def _distance(a: Point, b: Point) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _target_vector(a: Point, b: Point, stops: int) -> Point:
    """Return the vector of ``stops`` units in the octilinear direction nearest to the true one."""
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
    edges: Sequence[Edge], relaxed: Mapping[int, Point], steps: int
) -> list[tuple[GridPoint, ...]] | None:
    """Return a path over the grid for every edge; None if one of them has no path."""
    nodes = _snap(relaxed, steps)
    width = max(x for x, _ in nodes.values()) + _PADDING
    height = max(y for _, y in nodes.values()) + _PADDING
    grid = TrackGrid(width, height, lines_at_node=1000)
    taken = frozenset(nodes.values())
    headings: dict[int, list[tuple[int, frozenset[int]]]] = {}
    edge_paths: dict[int, tuple[GridPoint, ...]] = {}
    for number in sorted(range(len(edges)), key=lambda n: _routing_priority(edges[n], nodes)):
        edge = edges[number]
        a, b = edge.ends
        query = PathQuery(
            nodes[a],
            nodes[b],
            forbidden=taken - {nodes[a], nodes[b]},
            crossing_cost=_CROSSING_COST,
            departure_costs=_direction_costs(headings.get(a, []), edge.lines),
            arrival_costs=_arrival_costs(_direction_costs(headings.get(b, []), edge.lines)),
        )
        edge_path = find_path(grid, query)
        if edge_path is None:
            return None
        grid.add(number, edge_path)
        edge_paths[number] = edge_path
        headings.setdefault(a, []).append((direction_of(edge_path[0], edge_path[1]), edge.lines))
        headings.setdefault(b, []).append((direction_of(edge_path[-1], edge_path[-2]), edge.lines))
    return [edge_paths[number] for number in range(len(edges))]


def _snap(relaxed: Mapping[int, Point], steps: int) -> dict[int, GridPoint]:
    """Return a separate grid node for each key stop, as near as possible, none adjacent."""
    left = min(x for x, _ in relaxed.values())
    top = min(y for _, y in relaxed.values())
    nodes: dict[int, GridPoint] = {}
    taken: set[GridPoint] = set()
    for key, (x, y) in relaxed.items():
        proposal = ((x - left) * steps + _PADDING, (y - top) * steps + _PADDING)
        node = next(node for node in _nodes_around(proposal) if node not in taken)
        nodes[key] = node
        taken |= {(node[0] + dx, node[1] + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    return nodes


def _nodes_around(proposal: Point) -> Iterator[GridPoint]:
    """Yield grid nodes in growing squares around a point, the nearest of each square first."""
    x, y = round(proposal[0]), round(proposal[1])
    for reach in count():
        ring = [
            (x + dx, y + dy)
            for dx in range(-reach, reach + 1)
            for dy in range(-reach, reach + 1)
            if max(abs(dx), abs(dy)) == reach and x + dx > 0 and y + dy > 0
        ]
        yield from sorted(ring, key=lambda node: (_distance(node, proposal), node))


def _routing_priority(edge: Edge, nodes: Mapping[int, GridPoint]) -> tuple[float, tuple[int, ...]]:
    """Return the sort key of an edge: short edges first, since they have the least freedom."""
    a, b = edge.ends
    return _distance(nodes[a], nodes[b]), edge.stops


def _direction_costs(
    existing: Sequence[tuple[int, frozenset[int]]], lines: frozenset[int]
) -> tuple[int | None, ...]:
    """Return the cost of each direction out of a stop, given the edges already routed there."""
    costs: list[int | None] = []
    for direction in range(len(DIRECTIONS)):
        cost: int | None = 0
        for other, users in existing:
            between = abs((direction - other + 4) % 8 - 4)
            if cost is None or between == 0:
                cost = None
                continue
            cost += _ADJACENT_COST if between == 1 else 0
            if users & lines:
                cost += _TURN_COSTS[4 - between]
        costs.append(cost)
    return tuple(costs)


def _arrival_costs(costs: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Return the costs indexed by the direction of arrival instead of departure."""
    return costs[4:] + costs[:4]


def _spread_stops(
    edges: Sequence[Edge], edge_paths: Sequence[tuple[GridPoint, ...]]
) -> dict[int, GridPoint] | None:
    """Return a node for every stop; None if an edge path is too short for its stops."""
    users: dict[GridPoint, int] = {}
    for edge_path in edge_paths:
        for node in edge_path[1:-1]:
            users[node] = users.get(node, 0) + 1
    stop_nodes: dict[int, GridPoint] = {}
    for edge, edge_path in zip(edges, edge_paths, strict=True):
        stop_nodes[edge.stops[0]], stop_nodes[edge.stops[-1]] = edge_path[0], edge_path[-1]
        inner = edge.stops[1:-1]
        free = [i for i in range(1, len(edge_path) - 1) if users[edge_path[i]] == 1]
        chosen = _evenly(edge_path, free, len(inner))
        if chosen is None:
            return None
        stop_nodes.update((stop, edge_path[i]) for stop, i in zip(inner, chosen, strict=True))
    return stop_nodes


def _evenly(edge_path: Sequence[GridPoint], free: list[int], amount: int) -> list[int] | None:
    """Return ``amount`` of the free indexes, spread evenly, avoiding bends where possible."""
    if amount > len(free):
        return None
    chosen: list[int] = []
    for n in range(amount):
        target = (n + 1) * (len(edge_path) - 1) / (amount + 1)
        low = chosen[-1] + 1 if chosen else 0
        left = amount - n - 1
        choice = [i for k, i in enumerate(free) if i >= low and len(free) - k - 1 >= left]
        chosen.append(
            min(choice, key=lambda i: (abs(i - target) + 0.6 * _is_bend(edge_path, i), i))
        )
    return chosen


def _is_bend(edge_path: Sequence[GridPoint], i: int) -> bool:
    (ax, ay), (bx, by), (cx, cy) = edge_path[i - 1], edge_path[i], edge_path[i + 1]
    return (bx - ax, by - ay) != (cx - bx, cy - by)


def _assemble(
    network: Network,
    runs: Sequence[Sequence[Sequence[int]]],
    edge_paths: Sequence[tuple[GridPoint, ...]],
    stop_nodes: Mapping[int, GridPoint],
    steps: int,
    title: str,
) -> PlacedNetwork:
    """Join the edge paths to the course of each line."""
    stop_at = {node: stop for stop, node in stop_nodes.items()}
    pieces: dict[tuple[int, int], tuple[GridPoint, ...]] = {}
    for edge_path in edge_paths:
        cuts = [
            i for i, node in enumerate(edge_path) if i in (0, len(edge_path) - 1) or node in stop_at
        ]
        for low, high in pairwise(cuts):
            piece = edge_path[low : high + 1]
            a, b = stop_at[piece[0]], stop_at[piece[-1]]
            pieces[a, b], pieces[b, a] = piece, piece[::-1]
    courses = tuple(
        tuple(_join(pieces[a, b] for a, b in pairwise(run)) for run in line) for line in runs
    )
    positions = tuple(stop_nodes[stop.index] for stop in network.stops)
    return PlacedNetwork(network, positions, courses, title, steps / _NODES_PER_STOP)


def _join(pieces: Iterator[tuple[GridPoint, ...]]) -> tuple[GridPoint, ...]:
    joined: list[GridPoint] = []
    for piece in pieces:
        joined.extend(piece[1:] if joined else piece)
    return tuple(joined)


def _even_out(values: Sequence[float]) -> list[float]:
    """Move the values of an axis halfway to even spacing; order and extent stay."""
    rounded = [round(value, _DIGITS) for value in values]
    rank = {value: i for i, value in enumerate(sorted(set(rounded)))}
    low, extent = min(rounded), max(rounded) - min(rounded)
    step = extent / max(1, len(rank) - 1)
    return [round((value + low + step * rank[value]) / 2, _DIGITS) for value in rounded]


def _straight_line_layout(
    network: Network, runs: Sequence[Sequence[Sequence[int]]], points: Sequence[Point], title: str
) -> PlacedNetwork:
    """Return the fallback layout: stops near their positions, straight track at any angle.

    The crowded center gets room: half of a position on each axis is its rank among the stops.
    """
    gaps = [
        _distance(points[a], points[b]) for line in runs for run in line for a, b in pairwise(run)
    ]
    scale = sorted(gaps)[len(gaps) // 2] or 1.0
    across, down = (_even_out([place[axis] / scale for place in points]) for axis in (0, 1))
    nodes = _snap(dict(enumerate(zip(across, down, strict=True))), 8)
    courses = tuple(tuple(tuple(nodes[stop] for stop in run) for run in line) for line in runs)
    positions = tuple(nodes[stop.index] for stop in network.stops)
    return PlacedNetwork(network, positions, courses, title, 8 / _NODES_PER_STOP)
