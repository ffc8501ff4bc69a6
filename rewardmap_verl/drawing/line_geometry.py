"""The drawn lines of a map, and the points of a ride along them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parsing import MALFORMED, parse_json
from rewardmap_verl.transit.network import Line, Network
from rewardmap_verl.transit.planner import line_graph

__all__ = [
    "LineGeometry",
    "Point",
    "Polygon",
    "read_line_geometry",
    "stops_of_ride",
    "svg_points",
]

Point = tuple[float, float]
"""Pixels of the image; x to the right, y down."""

Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class LineGeometry:
    """The drawn lines of one map."""

    network: Network
    stops: tuple[Point, ...]
    """The center of each stop."""
    calls: tuple[Mapping[str, Point], ...]
    """For each stop, the point at which each line calls, by line name."""
    curves: tuple[tuple[tuple[Point, ...], ...], ...]
    """For each line and each of its paths, the centerline as drawn."""
    colors: tuple[str, ...] = ()
    """The color in which each line is drawn, where known."""
    labels: tuple[Polygon | None, ...] = ()
    """Corners of the label of each stop, where known."""

    @cached_property
    def _edges(self) -> Mapping[str, Mapping[tuple[int, int], tuple[Point, ...]]]:
        """Return the drawn points between adjacent stops of each line, in both directions."""
        return {
            line.name: self._edges_of(line, curves)
            for line, curves in zip(self.network.lines, self.curves, strict=True)
        }

    def _edges_of(
        self, line: Line, curves: Sequence[Sequence[Point]]
    ) -> dict[tuple[int, int], tuple[Point, ...]]:
        found: dict[tuple[int, int], tuple[Point, ...]] = {}
        for path, curve in zip(line.paths, curves, strict=True):
            start = 0
            for here, there in pairwise(path):
                start = _nearest_index(curve, self.calls[here][line.name], start)
                end = _nearest_index(curve, self.calls[there][line.name], start + 1)
                points = tuple(curve[start : end + 1])
                found.setdefault((here, there), points)
                found.setdefault((there, here), points[::-1])
        return found

    def frame(self, stop: int, margin: float) -> Polygon | None:
        """Return a frame around the name of a stop that is drawn over it, as on a pocket map.

        Args:
            stop: Index of the stop.
            margin: Pixels between the name and its frame.

        Returns:
            Four corners; ``None`` if the name is beside the stop, or its place is unknown.
        """
        corners = self.labels[stop] if self.labels else None
        if not corners:
            return None
        x, y = self.stops[stop]
        left, right = min(a for a, _ in corners), max(a for a, _ in corners)
        top, bottom = min(b for _, b in corners), max(b for _, b in corners)
        if not (left <= x <= right and top <= y <= bottom):
            return None
        left, right, top, bottom = left - margin, right + margin, top - margin, bottom + margin
        return (left, top), (right, top), (right, bottom), (left, bottom)

    def frames(self, margin: float) -> list[Polygon]:
        """Return the frames of all names that are drawn over their stops."""
        found = (self.frame(stop, margin) for stop in range(len(self.stops)))
        return [one for one in found if one is not None]

    def color_of(self, line: Line) -> str:
        """Return the color in which a line is drawn; the one of the source if that is unknown."""
        drawn = dict(zip((line.name for line in self.network.lines), self.colors, strict=False))
        return drawn.get(line.name) or line.color or ""

    def ride(self, line: Line, departure: int, arrival: int) -> tuple[Point, ...]:
        """Return the drawn points of a ride; a straight line if the line does not connect them."""
        stops = stops_of_ride(line, departure, arrival)
        if not stops:
            return self.straight(departure, arrival)
        pieces = [self._edges[line.name].get(pair, ()) for pair in pairwise(stops)]
        points = [point for points in pieces for point in points]
        return tuple(a for a, b in pairwise([*points, None]) if a is not None and a != b)

    def straight(self, departure: int, arrival: int) -> tuple[Point, ...]:
        """Return the straight line between two stops."""
        return self.stops[departure], self.stops[arrival]


def stops_of_ride(line: Line, departure: int, arrival: int) -> tuple[int, ...]:
    """Return the stops of a ride including both ends; empty if the line does not connect them.

    On a loop, the shorter direction is taken.
    """
    try:
        return tuple(nx.shortest_path(line_graph(line), departure, arrival))
    except (nx.NetworkXNoPath, nx.NodeNotFound):
        return ()


def svg_points(points: Sequence[Point]) -> str:
    """Return points as SVG's ``polyline`` and ``polygon`` take them."""
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def read_line_geometry(path: Path, network: Network) -> LineGeometry:
    """Read the positions file that preparation wrote for a drawn map.

    Raises:
        DataError: The file is unreadable or does not match the network.
    """
    try:
        data = parse_json(path.read_bytes())
        geometry = _parse(data, network)
        fits = len(geometry.stops) == len(geometry.calls) == len(network.stops)
        fits = fits and [len(curves) for curves in geometry.curves] == [
            len(line.paths) for line in network.lines
        ]
    except MALFORMED as error:
        raise DataError(path, found=str(error), hint="Prepare the data again.") from None
    if not fits:
        raise DataError(path, hint="It belongs to another network; prepare the data again.")
    return geometry


def _parse(data: Any, network: Network) -> LineGeometry:
    return LineGeometry(
        network,
        tuple(_point(point) for point in data["stops"]),
        tuple({name: _point(at) for name, at in calls.items()} for calls in data["calls"]),
        tuple(tuple(tuple(map(_point, path)) for path in paths) for paths in data["curves"]),
        tuple(map(str, data.get("colors", ()))),
        _labels(data, len(network.stops)),
    )


def _labels(data: Any, stops: int) -> tuple[Polygon | None, ...]:
    found = {one["stop"]: tuple(map(_point, one["corners"])) for one in data.get("labels", ())}
    return tuple(found.get(stop) for stop in range(stops))


def _point(value: Sequence[float]) -> Point:
    x, y = value
    return float(x), float(y)


def _nearest_index(curve: Sequence[Point], point: Point, start: int) -> int:
    """Return the index, from ``start`` on, of the first curve point closest to ``point``.

    Distances are compared to a tenth of a pixel.
    """
    rest = range(min(start, len(curve) - 1), len(curve))
    return min(rest, key=lambda i: round(math.dist(curve[i], point), 1))
