"""The grid of tracks built so far, and the search for the path of the next line."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rewardmap_verl.transit.placement import GridEdge, GridPoint, grid_edge

DirectionCosts = tuple[int | None, ...]

DIRECTIONS: tuple[GridPoint, ...] = (
    (1, 0),
    (1, 1),
    (0, 1),
    (-1, 1),
    (-1, 0),
    (-1, -1),
    (0, -1),
    (1, -1),
)
"""The eight directions of an octilinear map, clockwise from east."""

_STRAIGHT_COST, _DIAGONAL_COST = 4, 6
_TURN_COSTS = (0, 3, 16)  # by eighths of a full turn; sharper turns are not allowed
_CROSSING_COST, _NEARBY_COST, _SHARED_COST = 4, 3, 1


def edges_of(path: Sequence[GridPoint]) -> Iterator[GridEdge]:
    """Return the undirected edges along a path."""
    return (grid_edge(a, b) for a, b in itertools.pairwise(path))


def direction_of(a: GridPoint, b: GridPoint) -> int:
    """Return the index in ``DIRECTIONS`` of the step from ``a`` to its neighbor ``b``."""
    return DIRECTIONS.index((b[0] - a[0], b[1] - a[1]))


@dataclass(slots=True)
class TrackGrid:
    """The mutable grid used while lines are laid out."""

    width: int
    height: int
    lines_at_node: int
    """Maximum number of lines that may meet in one node."""
    nodes: dict[GridPoint, set[int]] = field(default_factory=dict)
    edges: dict[GridEdge, set[int]] = field(default_factory=dict)
    paths: dict[int, list[tuple[GridPoint, ...]]] = field(default_factory=dict)

    def add(self, line: int, path: Sequence[GridPoint]) -> None:
        """Add a path of a line."""
        self.paths.setdefault(line, []).append(tuple(path))
        for point in path:
            self.nodes.setdefault(point, set()).add(line)
        for edge in edges_of(path):
            self.edges.setdefault(edge, set()).add(line)

    def contains(self, point: GridPoint) -> bool:
        """Return whether the point is on the grid."""
        return 0 <= point[0] < self.width and 0 <= point[1] < self.height

    def crosses(self, a: GridPoint, b: GridPoint) -> bool:
        """Return whether a diagonal step would cross another diagonal in the middle of a cell."""
        other = grid_edge((a[0], b[1]), (b[0], a[1]))
        return a[0] != b[0] and a[1] != b[1] and other in self.edges

    def crowding(self, point: GridPoint) -> int:
        """Return how many of the eight adjacent nodes have a line."""
        return sum((point[0] + dx, point[1] + dy) in self.nodes for dx, dy in DIRECTIONS)

    def open_nodes(self) -> list[GridPoint]:
        """Return the nodes that another line may still join."""
        return sorted(node for node, lines in self.nodes.items() if len(lines) < self.lines_at_node)


@dataclass(frozen=True, slots=True)
class PathQuery:
    """One path search: ends, initial heading, nodes to avoid and lines whose track may be used."""

    start: GridPoint
    goal: GridPoint
    heading: int | None = None
    forbidden: frozenset[GridPoint] = frozenset()
    hosts: frozenset[int] = frozenset()
    crossing_cost: int = _CROSSING_COST
    """Cost of passing a node that another path uses."""
    departure_costs: DirectionCosts = (0,) * len(DIRECTIONS)
    """Cost of each direction of the first step; None if it is blocked."""
    arrival_costs: DirectionCosts = (0,) * len(DIRECTIONS)
    """Cost of each direction of the last step."""


def find_path(grid: TrackGrid, query: PathQuery) -> tuple[GridPoint, ...] | None:
    """Return the cheapest octilinear path, preferring few bends and free space, or None.

    A* over (node, heading). Costs are integers and ties are broken by the node, so the same grid
    gives the same path on every machine.
    """
    first = (query.start, query.heading)
    queue = [(_remaining_cost(query, query.start), query.start, -1, 0, first)]
    cost = {first: 0}
    previous: dict = {}
    while queue:
        _, node, _, spent, state = heapq.heappop(queue)
        if node == query.goal:
            return _reconstruct_path(previous, state)
        if spent > cost[state]:
            continue
        for heading, point, step_cost in _steps(grid, query, node, state[1]):
            follower = (point, heading)
            total = spent + step_cost
            if total < cost.get(follower, 1 << 30):
                cost[follower] = total
                previous[follower] = state
                estimate = total + _remaining_cost(query, point)
                heapq.heappush(queue, (estimate, point, heading, total, follower))
    return None


def find_path_through(
    grid: TrackGrid, points: Sequence[GridPoint], hosts: Iterable[int] = ()
) -> tuple[GridPoint, ...] | None:
    """Return a path that visits the points in order without meeting itself, or None."""
    path: tuple[GridPoint, ...] = (points[0],)
    for goal in points[1:]:
        heading = direction_of(path[-2], path[-1]) if len(path) > 1 else None
        later = frozenset(points) - {path[-1], goal}
        query = PathQuery(path[-1], goal, heading, frozenset(path[:-1]) | later, frozenset(hosts))
        leg = find_path(grid, query)
        if leg is None:
            return None
        path += leg[1:]
    return path if is_simple(path) else None


def is_simple(path: Sequence[GridPoint]) -> bool:
    """Return whether a path neither meets nor crosses itself."""
    mine = set(edges_of(path))
    diagonals = ((a, b) for a, b in mine if a[0] != b[0] and a[1] != b[1])
    crossed = any(grid_edge((a[0], b[1]), (b[0], a[1])) in mine for a, b in diagonals)
    return len(set(path)) == len(path) and not crossed


def _remaining_cost(query: PathQuery, point: GridPoint) -> int:
    """Return a lower bound of the remaining cost."""
    goal = query.goal
    across, along = sorted((abs(point[0] - goal[0]), abs(point[1] - goal[1])))
    if query.hosts:
        return _SHARED_COST * along
    return _STRAIGHT_COST * along + (_DIAGONAL_COST - _STRAIGHT_COST) * across


def _steps(
    grid: TrackGrid, query: PathQuery, node: GridPoint, heading: int | None
) -> Iterator[tuple[int, GridPoint, int]]:
    for direction, (dx, dy) in enumerate(DIRECTIONS):
        turn = 0 if heading is None else abs((direction - heading + 4) % 8 - 4)
        point = (node[0] + dx, node[1] + dy)
        if turn >= len(_TURN_COSTS) or not grid.contains(point) or point in query.forbidden:
            continue
        step_cost = _step_cost(grid, query, node, point)
        start = query.departure_costs[direction] if node == query.start else 0
        end = query.arrival_costs[direction] if point == query.goal else 0
        if step_cost is not None and start is not None and end is not None:
            bent = query.crossing_cost // 2 if turn and node in grid.nodes else 0
            yield direction, point, step_cost + _TURN_COSTS[turn] + start + end + bent


def _step_cost(grid: TrackGrid, query: PathQuery, node: GridPoint, point: GridPoint) -> int | None:
    """Return the cost of one step; None if it is not allowed."""
    here = grid.nodes.get(point, set())
    owners = grid.edges.get(grid_edge(node, point))
    if len(here) >= grid.lines_at_node or grid.crosses(node, point):
        return None
    if owners:
        return _SHARED_COST if owners & query.hosts else None
    length = _DIAGONAL_COST if node[0] != point[0] and node[1] != point[1] else _STRAIGHT_COST
    crossed = here and point != query.goal
    return (
        length
        + (query.crossing_cost if crossed else 0)
        + (_NEARBY_COST if grid.crowding(point) else 0)
    )


def _reconstruct_path(previous: dict, state: tuple) -> tuple[GridPoint, ...]:
    path = [state[0]]
    while state in previous:
        state = previous[state]
        path.append(state[0])
    return tuple(reversed(path))
