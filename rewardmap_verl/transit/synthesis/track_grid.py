"""Track layout so far on the grid, and the search for the way of one more line."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rewardmap_verl.transit.placement import GridEdge, GridPoint, grid_edge

Prices = tuple[int | None, ...]

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

_STRAIGHT, _DIAGONAL = 4, 6
_TURN = (0, 3, 16)  # by eighths of a full turn; sharper turns are not built
_CROSSING, _BESIDE, _SHARED = 4, 3, 1


def edges_of(path: Sequence[GridPoint]) -> Iterator[GridEdge]:
    """The undirected pieces of track along a path."""
    return (grid_edge(a, b) for a, b in itertools.pairwise(path))


def direction_of(a: GridPoint, b: GridPoint) -> int:
    """The index in ``DIRECTIONS`` of the step from ``a`` to its neighbor ``b``."""
    return DIRECTIONS.index((b[0] - a[0], b[1] - a[1]))


@dataclass(slots=True)
class TrackGrid:
    """The grid while lines are being layout; grows by ``add`` and is thrown away afterwards."""

    width: int
    height: int
    lines_at_node: int
    """The most lines that may meet in one node."""
    nodes: dict[GridPoint, set[int]] = field(default_factory=dict)
    edges: dict[GridEdge, set[int]] = field(default_factory=dict)
    paths: dict[int, list[tuple[GridPoint, ...]]] = field(default_factory=dict)

    def add(self, line: int, path: Sequence[GridPoint]) -> None:
        """Lay one more path of a line."""
        self.paths.setdefault(line, []).append(tuple(path))
        for point in path:
            self.nodes.setdefault(point, set()).add(line)
        for edge in edges_of(path):
            self.edges.setdefault(edge, set()).add(line)

    def contains(self, point: GridPoint) -> bool:
        """Whether the point lies on the grid."""
        return 0 <= point[0] < self.width and 0 <= point[1] < self.height

    def crosses(self, a: GridPoint, b: GridPoint) -> bool:
        """Whether a diagonal step would cross another diagonal in the middle of a cell."""
        other = grid_edge((a[0], b[1]), (b[0], a[1]))
        return a[0] != b[0] and a[1] != b[1] and other in self.edges

    def crowding(self, point: GridPoint) -> int:
        """How many of the eight neighbors already carry a line."""
        return sum((point[0] + dx, point[1] + dy) in self.nodes for dx, dy in DIRECTIONS)

    def open_nodes(self) -> list[GridPoint]:
        """The nodes where another line may still join."""
        return sorted(node for node, lines in self.nodes.items() if len(lines) < self.lines_at_node)


@dataclass(frozen=True, slots=True)
class PathQuery:
    """One search: from where to where, entering how, what to avoid and whose track to use."""

    start: GridPoint
    goal: GridPoint
    heading: int | None = None
    forbidden: frozenset[GridPoint] = frozenset()
    hosts: frozenset[int] = frozenset()
    crossing: int = _CROSSING
    """Price of passing a node that another path uses."""
    leaving: Prices = (0,) * len(DIRECTIONS)
    """Price of each direction of the first step; None where it is barred."""
    arriving: Prices = (0,) * len(DIRECTIONS)
    """Price of each direction of the last step."""


def find_path(tracks: TrackGrid, query: PathQuery) -> tuple[GridPoint, ...] | None:
    """The cheapest octilinear path, preferring few bends and clear space; None when shut in.

    A* over (node, heading). Costs are integers and ties are broken by the node itself, so that the
    same grid gives the same path everywhere.
    """
    first = (query.start, query.heading)
    queue = [(_remaining(query, query.start), query.start, -1, 0, first)]
    cost = {first: 0}
    came: dict = {}
    while queue:
        _, node, _, spent, state = heapq.heappop(queue)
        if node == query.goal:
            return _unwind(came, state)
        if spent > cost[state]:
            continue
        for heading, point, price in _steps(tracks, query, node, state[1]):
            follower = (point, heading)
            total = spent + price
            if total < cost.get(follower, 1 << 30):
                cost[follower] = total
                came[follower] = state
                estimate = total + _remaining(query, point)
                heapq.heappush(queue, (estimate, point, heading, total, follower))
    return None


def find_path_through(
    tracks: TrackGrid, points: Sequence[GridPoint], hosts: Iterable[int] = ()
) -> tuple[GridPoint, ...] | None:
    """A path that visits the points in turn without meeting itself; None when there is none."""
    path: tuple[GridPoint, ...] = (points[0],)
    for goal in points[1:]:
        heading = direction_of(path[-2], path[-1]) if len(path) > 1 else None
        later = frozenset(points) - {path[-1], goal}
        query = PathQuery(path[-1], goal, heading, frozenset(path[:-1]) | later, frozenset(hosts))
        leg = find_path(tracks, query)
        if leg is None:
            return None
        path += leg[1:]
    return path if is_simple(path) else None


def is_simple(path: Sequence[GridPoint]) -> bool:
    """Whether a path neither meets nor crosses itself."""
    mine = set(edges_of(path))
    diagonals = ((a, b) for a, b in mine if a[0] != b[0] and a[1] != b[1])
    crossed = any(grid_edge((a[0], b[1]), (b[0], a[1])) in mine for a, b in diagonals)
    return len(set(path)) == len(path) and not crossed


def _remaining(query: PathQuery, point: GridPoint) -> int:
    """A lower bound of the cost that is left."""
    goal = query.goal
    across, along = sorted((abs(point[0] - goal[0]), abs(point[1] - goal[1])))
    if query.hosts:
        return _SHARED * along
    return _STRAIGHT * along + (_DIAGONAL - _STRAIGHT) * across


def _steps(
    tracks: TrackGrid, query: PathQuery, node: GridPoint, heading: int | None
) -> Iterator[tuple[int, GridPoint, int]]:
    for direction, (dx, dy) in enumerate(DIRECTIONS):
        turn = 0 if heading is None else abs((direction - heading + 4) % 8 - 4)
        point = (node[0] + dx, node[1] + dy)
        if turn >= len(_TURN) or not tracks.contains(point) or point in query.forbidden:
            continue
        price = _price(tracks, query, node, point)
        start = query.leaving[direction] if node == query.start else 0
        end = query.arriving[direction] if point == query.goal else 0
        if price is not None and start is not None and end is not None:
            bent = query.crossing // 2 if turn and node in tracks.nodes else 0
            yield direction, point, price + _TURN[turn] + start + end + bent


def _price(tracks: TrackGrid, query: PathQuery, node: GridPoint, point: GridPoint) -> int | None:
    """What one step costs; None where it may not be built."""
    here = tracks.nodes.get(point, set())
    owners = tracks.edges.get(grid_edge(node, point))
    if len(here) >= tracks.lines_at_node or tracks.crosses(node, point):
        return None
    if owners:
        return _SHARED if owners & query.hosts else None
    length = _DIAGONAL if node[0] != point[0] and node[1] != point[1] else _STRAIGHT
    crossed = here and point != query.goal
    return length + (query.crossing if crossed else 0) + (_BESIDE if tracks.crowding(point) else 0)


def _unwind(came: dict, state: tuple) -> tuple[GridPoint, ...]:
    path = [state[0]]
    while state in came:
        state = came[state]
        path.append(state[0])
    return tuple(reversed(path))
