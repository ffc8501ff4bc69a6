"""Where a ride runs on a picture: along the drawn line, from one stop to another."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx

from rewardmap_verl.errors import DataError
from rewardmap_verl.transit.network import Line, Network
from rewardmap_verl.transit.planner import line_graph

__all__ = ["LineGeometry", "Point", "read_line_geometry", "stops_of_ride"]

Point = tuple[float, float]
"""In pixels of the picture; x to the right, y down."""


@dataclass(frozen=True)
class LineGeometry:
    """The drawn lines of one map."""

    network: Network
    stops: tuple[Point, ...]
    """The middle of each stop."""
    calls: tuple[Mapping[str, Point], ...]
    """For each stop, where each line passes it."""
    curves: tuple[tuple[tuple[Point, ...], ...], ...]
    """For each line and each of its paths, the middle of the drawn line."""

    @cached_property
    def _stretches(self) -> Mapping[str, Mapping[tuple[int, int], tuple[Point, ...]]]:
        """For each line, the way between each two neighbors, in both directions."""
        return {
            line.name: self._stretches_of(line, curves)
            for line, curves in zip(self.network.lines, self.curves, strict=True)
        }

    def _stretches_of(
        self, line: Line, curves: Sequence[Sequence[Point]]
    ) -> dict[tuple[int, int], tuple[Point, ...]]:
        found: dict[tuple[int, int], tuple[Point, ...]] = {}
        for path, curve in zip(line.paths, curves, strict=True):
            start = 0
            for here, there in pairwise(path):
                start = _nearest(curve, self.calls[here][line.name], start)
                end = _nearest(curve, self.calls[there][line.name], start + 1)
                way = tuple(curve[start : end + 1])
                found.setdefault((here, there), way)
                found.setdefault((there, here), way[::-1])
        return found

    def ride(self, line: Line, departure: int, arrival: int) -> tuple[Point, ...]:
        """The way of a ride on a line; straight where the two stops are not both on it."""
        stops = stops_of_ride(line, departure, arrival)
        if not stops:
            return self.straight(departure, arrival)
        ways = [self._stretches[line.name].get(pair, ()) for pair in pairwise(stops)]
        points = [point for way in ways for point in way]
        return tuple(a for a, b in pairwise([*points, None]) if a is not None and a != b)

    def straight(self, departure: int, arrival: int) -> tuple[Point, ...]:
        """From stop to stop as the crow flies."""
        return self.stops[departure], self.stops[arrival]


def stops_of_ride(line: Line, departure: int, arrival: int) -> tuple[int, ...]:
    """The stops of a ride, both ends among them, the shorter way around a loop; none when the line
    does not join them.
    """
    try:
        return tuple(nx.shortest_path(line_graph(line), departure, arrival))
    except (nx.NetworkXNoPath, nx.NodeNotFound):
        return ()


def read_line_geometry(path: Path, network: Network) -> LineGeometry:
    """Read what a preparation wrote about a map that it drew.

    Raises:
        DataError: The file does not fit the network.
    """
    try:
        data = json.loads(path.read_bytes())
        tracks = _tracks(data, network)
        fits = len(tracks.stops) == len(tracks.calls) == len(network.stops)
        fits = fits and [len(curves) for curves in tracks.curves] == [
            len(line.paths) for line in network.lines
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(path, found=str(error), hint="Prepare the data again.") from None
    if not fits:
        raise DataError(path, hint="It is about another network; prepare the data again.")
    return tracks


def _tracks(data: Any, network: Network) -> LineGeometry:
    return LineGeometry(
        network,
        tuple(_point(point) for point in data["stops"]),
        tuple({name: _point(at) for name, at in calls.items()} for calls in data["calls"]),
        tuple(tuple(tuple(map(_point, path)) for path in paths) for paths in data["curves"]),
    )


def _point(value: Sequence[float]) -> Point:
    x, y = value
    return float(x), float(y)


def _nearest(curve: Sequence[Point], point: Point, start: int) -> int:
    """Index of the curve's first point at a place, from ``start`` on; else of the nearest one."""
    rest = range(min(start, len(curve) - 1), len(curve))
    return min(rest, key=lambda i: round(math.dist(curve[i], point), 1))
