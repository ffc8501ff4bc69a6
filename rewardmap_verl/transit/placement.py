"""Where a network lies on the drawing grid: what a generator or a layout hands to the renderer."""

from __future__ import annotations

from dataclasses import dataclass

from rewardmap_verl.transit.network import Network

GridPoint = tuple[int, int]
"""A node of the drawing grid; x grows to the right, y grows down."""

GridEdge = tuple[GridPoint, GridPoint]
"""An undirected edge between two neighboring points of a course; see :func:`grid_edge`."""


def grid_edge(a: GridPoint, b: GridPoint) -> GridEdge:
    """Return the undirected edge between two points, the smaller point first."""
    return (a, b) if a <= b else (b, a)


@dataclass(frozen=True, slots=True)
class PlacedNetwork:
    """A network together with the way that each of its lines takes over an integer grid.

    Integers keep the placement the same on every machine. Lines that pass between the same two
    neighboring course points share their track and are drawn side by side there.
    """

    network: Network
    positions: tuple[GridPoint, ...]
    """The grid node of each stop, in the order of ``network.stops``."""
    courses: tuple[tuple[tuple[GridPoint, ...], ...], ...]
    """For each line and each of its paths, every grid node that it passes, calling there or not."""

    title: str = ""
    """What the map is headed with; empty for the name of the city."""

    grain: float = 1.0
    """How much finer the grid is than that of a generated network; the more, the less a step."""

    def extent(self) -> tuple[int, int, int, int]:
        """The smallest box that holds every course: left, top, right, bottom."""
        points = [point for line in self.courses for path in line for point in path]
        xs = [x for x, _ in points]
        ys = [y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)
