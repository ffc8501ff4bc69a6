"""Plan the best routes through a network: fewest transfers, then fewest stops, including ties.

A route is a sequence of legs, each a ride on one line. The search graph has one node per stop and
one per (stop, line): boarding costs more than riding through the whole network, riding to the next
stop costs one, and alighting is free. Trains run in both directions on every line, around loops,
and between the branches of a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from typing import Any

import networkx as nx

from rewardmap_verl.transit.network import Line, Network

__all__ = [
    "Leg",
    "Plan",
    "Planner",
    "best_plans",
    "fewest_transfers",
    "line_graph",
    "stops_between",
]

_Node = tuple[int, int]
_PLATFORM_FREE = -1
"""The line index of the node of the stop itself."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One ride on one line; stops are indexes."""

    line: str
    departure: int
    arrival: int
    via: tuple[int, ...]
    """The stops in between, in running order, without both ends."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A route: one or more legs, each starting where the previous one ends."""

    legs: tuple[Leg, ...]

    @property
    def transfers(self) -> int:
        """Return the number of changes of line."""
        return len(self.legs) - 1

    @property
    def rides(self) -> int:
        """Return the number of hops from a stop to the next."""
        return sum(len(leg.via) + 1 for leg in self.legs)


class Planner:
    """Plans routes in one network and caches the search from each origin.

    Reuse the object for many questions. Results do not depend on earlier calls.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._boarding = 1 + sum(len(path) for line in network.lines for path in line.paths)
        self._graph = _travel_graph(network, self._boarding)
        self._from: dict[int, tuple[dict[_Node, list[_Node]], dict[_Node, float]]] = {}

    def _search(self, origin: int) -> tuple[dict[_Node, list[_Node]], dict[_Node, float]]:
        if origin not in self._from:
            self._from[origin] = nx.dijkstra_predecessor_and_distance(
                self._graph, (_PLATFORM_FREE, origin)
            )
        return self._from[origin]

    def fewest_transfers(self, origin: int, destination: int) -> int | None:
        """Return the fewest changes of line; ``None`` if there is no route or the stops are equal.

        Raises:
            IndexError: The network has no such stop.
        """
        self._check(origin, destination)
        cost = self._search(origin)[1].get((_PLATFORM_FREE, destination))
        return None if cost is None or origin == destination else int(cost) // self._boarding - 1

    def best_plans(self, origin: int, destination: int, limit: int = 8) -> tuple[Plan, ...]:
        """Return the routes with the fewest transfers and, among these, the fewest stops.

        Args:
            origin: Index of the first stop.
            destination: Index of the last stop.
            limit: Maximum number of tied routes; always the same ones.

        Returns:
            The routes; empty if there is none or if the two stops are equal.

        Raises:
            IndexError: The network has no such stop.
        """
        if self.fewest_transfers(origin, destination) is None:
            return ()
        walks = _walks_back(self._search(origin)[0], origin, (_PLATFORM_FREE, destination))
        return tuple(_plan(self.network, walk) for walk in islice(walks, limit))

    def _check(self, *stops: int) -> None:
        for stop in stops:
            if not 0 <= stop < len(self.network.stops):
                raise IndexError(f"{self.network.city} has no stop {stop}")


def _travel_graph(network: Network, boarding: int) -> nx.DiGraph[_Node]:
    graph: nx.DiGraph[_Node] = nx.DiGraph()
    for number, line in enumerate(network.lines):
        for stop in line.stops:
            graph.add_edge((_PLATFORM_FREE, stop), (number, stop), weight=boarding)
            graph.add_edge((number, stop), (_PLATFORM_FREE, stop), weight=0)
        for path in line.paths:
            for here, there in pairwise(path):
                graph.add_edge((number, here), (number, there), weight=1)
                graph.add_edge((number, there), (number, here), weight=1)
    return graph


def _walks_back(
    before: dict[_Node, list[_Node]], origin: int, node: _Node
) -> Iterator[list[_Node]]:
    """Yield the shortest walks to a node one by one; the stack holds one walk, not all of them."""
    walk = [node]
    choices = [iter(sorted(before[node]))]
    while choices:
        step = next(choices[-1], None)
        if step is None:
            choices.pop()
            walk.pop()
        elif step == (_PLATFORM_FREE, origin):
            yield [step, *reversed(walk)]
        else:
            walk.append(step)
            choices.append(iter(sorted(before[step])))


def _plan(network: Network, walk: Sequence[_Node]) -> Plan:
    legs = []
    for number, nodes in groupby(walk, lambda node: node[0]):
        if number != _PLATFORM_FREE:
            stops = [stop for _, stop in nodes]
            legs.append(Leg(network.lines[number].name, stops[0], stops[-1], tuple(stops[1:-1])))
    return Plan(tuple(legs))


def best_plans(network: Network, origin: int, destination: int, limit: int = 8) -> tuple[Plan, ...]:
    """Plan once; see ``Planner.best_plans``. Use a ``Planner`` for many questions."""
    return Planner(network).best_plans(origin, destination, limit)


def fewest_transfers(network: Network, origin: int, destination: int) -> int | None:
    """Count once; see ``Planner.fewest_transfers``."""
    return Planner(network).fewest_transfers(origin, destination)


def line_graph(line: Line) -> nx.Graph[Any]:
    """Return the adjacent stops of one line as a graph over stop indexes."""
    graph: nx.Graph[Any] = nx.Graph()
    for path in line.paths:
        nx.add_path(graph, path)
    return graph


def stops_between(line: Line, departure: int, arrival: int) -> tuple[int, ...] | None:
    """Return the intermediate stops of a ride in running order, if the ride is unambiguous.

    ``None`` if a person who counts on the map could get another number: two directions around a
    loop, trunk and branch of a line (the ride may need a change of train), a line whose branch is
    unexplained, a stop that the line does not serve, or twice the same stop.
    """
    if line.doubtful or departure == arrival:
        return None
    together = [path for path in line.paths if departure in path and arrival in path]
    if not together:
        return None
    ways = list(islice(nx.all_simple_paths(line_graph(line), departure, arrival), 2))
    return tuple(ways[0][1:-1]) if len(ways) == 1 else None
