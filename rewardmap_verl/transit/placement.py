"""A network placed on the drawing grid: the input of the renderer."""

from __future__ import annotations

from dataclasses import dataclass

from rewardmap_verl.transit.network import Network

GridPoint = tuple[int, int]
"""A node of the drawing grid; x grows to the right, y grows down."""

GridEdge = tuple[GridPoint, GridPoint]
"""An undirected edge between two neighboring points of a course; see ``grid_edge``."""


def grid_edge(a: GridPoint, b: GridPoint) -> GridEdge:
    """Return the undirected edge between two points, the smaller point first."""
    return (a, b) if a <= b else (b, a)


@dataclass(frozen=True, slots=True)
class PlacedNetwork:
    """A network with the course of each of its lines over an integer grid.

    Integers keep the placement identical on every machine. Lines that pass between the same two
    adjacent course points share their track and are drawn side by side there.
    """

    network: Network
    positions: tuple[GridPoint, ...]
    """The grid node of each stop, in the order of ``network.stops``."""
    courses: tuple[tuple[tuple[GridPoint, ...], ...], ...]
    """For each line and each of its paths, every grid node along it, including nodes passed without
    calling."""

    title: str = ""
    """Title of the map; empty for no title."""

    grain: float = 1.0
    """How many times finer the grid is than that of a generated network."""

    language: str = "english"
    """Language of the names, one of ``transit.synthetic.Language``, for the other words."""

    walks: tuple[tuple[int, int], ...] = ()
    """Pairs of stops between which passengers may walk. They are drawn where there is room, and
    are part of no line and no answer."""

    def extent(self) -> tuple[int, int, int, int]:
        """Return the bounding box of all courses: left, top, right, bottom."""
        points = [point for line in self.courses for path in line for point in path]
        xs = [x for x, _ in points]
        ys = [y for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)
