"""Draw a schematic of a network from its lines, for maps without known positions.

Stops are placed so that distances on the page approximate the number of stops between them (stress
majorization: Gansner, Koren and North, "Graph drawing by stress majorization", 2004). The positions
are not those of the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx

from rewardmap_verl.drawing.colors import line_colors
from rewardmap_verl.drawing.line_geometry import LineGeometry, Point, svg_points
from rewardmap_verl.transit.network import Line, Network

__all__ = ["MOST_STOPS", "Schematic", "draw_schematic"]

MOST_STOPS = 1500
"""Networks with more stops have no schematic; placing them would take minutes."""

SIDE = 1000.0
"""Length of the longer side, in units."""

_MARGIN = 20.0
_LANE = 3.0
"""Distance between two parallel lines, in units."""
_ROUNDS = 50
"""Iterations of the majorization; more make no visible difference."""


@dataclass(frozen=True, slots=True)
class Schematic:
    """A drawn network."""

    width: float
    height: float
    geometry: LineGeometry
    """Where stops are and lines run, as on a map that was drawn."""
    lines: tuple[tuple[str, str, tuple[tuple[Point, ...], ...]], ...]
    """Name, color (``#rrggbb``) and ways of each line, beside each other where they share one."""

    def for_page(self) -> dict[str, Any]:
        """Return the schematic for the page, with coordinates as SVG text."""
        stops = zip(self.geometry.network.stops, self.geometry.stops, strict=True)
        return {
            "width": self.width,
            "height": self.height,
            "lines": [[name, color, [*map(svg_points, ways)]] for name, color, ways in self.lines],
            "stops": [[x, y, stop.name, len(stop.lines)] for stop, (x, y) in stops],
        }


def draw_schematic(network: Network) -> Schematic | None:
    """Draw a network; ``None`` if it has more than ``MOST_STOPS`` stops.

    The result is deterministic.
    """
    if not 0 < len(network.stops) <= MOST_STOPS:
        return None
    places, width, height = _fitted(_components(network))
    calls = tuple(dict.fromkeys(stop.lines, places[stop.index]) for stop in network.stops)
    curves = tuple(
        tuple(tuple(places[i] for i in path) for path in line.paths) for line in network.lines
    )
    lanes = _lanes(network.lines)
    colors = line_colors(network)
    lines = tuple(
        (
            line.name,
            color,
            tuple(_beside(path, places, lanes, line.name) for path in line.paths),
        )
        for line, color in zip(network.lines, colors, strict=True)
    )
    geometry = LineGeometry(network, tuple(places), calls, curves, colors)
    return Schematic(width, height, geometry, lines)


def _components(network: Network) -> list[dict[int, Point]]:
    """Return the positions of each connected component's stops, the largest component first."""
    graph: nx.Graph = nx.Graph()
    graph.add_nodes_from(range(len(network.stops)))
    for line in network.lines:
        for path in line.paths:
            graph.add_edges_from(pairwise(path))
    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    return [_placed(graph.subgraph(part), sorted(part)) for part in parts]


def _placed(graph: nx.Graph, stops: Sequence[int]) -> dict[int, Point]:
    import numpy as np

    far = dict(nx.all_pairs_shortest_path_length(graph))
    apart = np.array([[far[a][b] for b in stops] for a in stops], dtype=float)
    points = _majorized(_scaled(apart), apart) if len(stops) > 2 else _in_a_row(len(stops))
    return {stop: (float(x), float(y)) for stop, (x, y) in zip(stops, points, strict=True)}


def _in_a_row(count: int) -> Any:
    import numpy as np

    return np.stack([np.arange(count, dtype=float), np.zeros(count)], axis=1)


def _scaled(apart: Any) -> Any:
    """Return initial positions by classical scaling, the widest direction along the page."""
    import numpy as np

    centered = np.eye(len(apart)) - 1.0 / len(apart)
    values, vectors = np.linalg.eigh(-0.5 * centered @ apart**2 @ centered)
    axes = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 1e-9))
    signs = np.sign(axes[np.argmax(np.abs(axes), axis=0), [0, 1]])
    return axes * np.where(signs == 0, 1.0, signs)


def _majorized(points: Any, apart: Any) -> Any:
    """Minimize the stress: squared errors of the distances, weighted by 1 / distance²."""
    import numpy as np

    none = np.eye(len(apart), dtype=bool)
    weights = np.where(none, 0.0, 1.0 / np.maximum(apart, 1.0) ** 2)
    # The Laplacian is singular for shifts; adding a constant makes it invertible.
    inverse = np.linalg.inv(np.diag(weights.sum(axis=1)) - weights + 1.0 / len(apart))
    for _ in range(_ROUNDS):
        now = np.hypot(*(np.subtract.outer(axis, axis) for axis in points.T))
        pull = -weights * apart / np.maximum(now, 1e-6)
        np.fill_diagonal(pull, 0.0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        points = inverse @ (pull @ points)
    return points


def _fitted(parts: Sequence[Mapping[int, Point]]) -> tuple[list[Point], float, float]:
    """Return the components side by side, scaled to the page, and its width and height."""
    found: dict[int, Point] = {}
    edge = 0.0
    for part in parts:
        left = min(x for x, _ in part.values())
        top = min(y for _, y in part.values())
        found |= {stop: (edge + x - left, y - top) for stop, (x, y) in part.items()}
        edge = max(x for x, _ in found.values()) + 2.0
    wide = max(x for x, _ in found.values())
    high = max(y for _, y in found.values())
    scale = (SIDE - 2 * _MARGIN) / max(wide, high, 1.0)
    places = [
        (round(_MARGIN + scale * found[i][0], 1), round(_MARGIN + scale * found[i][1], 1))
        for i in range(len(found))
    ]
    return places, round(2 * _MARGIN + scale * wide, 1), round(2 * _MARGIN + scale * high, 1)


def _lanes(lines: Sequence[Line]) -> dict[tuple[int, int], list[str]]:
    """Return the lines between each two neighbors, by pairs with the lower stop first."""
    found: dict[tuple[int, int], list[str]] = {}
    for line in lines:
        for path in line.paths:
            for a, b in pairwise(path):
                names = found.setdefault((min(a, b), max(a, b)), [])
                if line.name not in names:
                    names.append(line.name)
    return found


def _beside(
    path: Sequence[int],
    places: Sequence[Point],
    lanes: Mapping[tuple[int, int], Sequence[str]],
    name: str,
) -> tuple[Point, ...]:
    """Return the course along a path, shifted where other lines share it."""
    return tuple(point for pair in pairwise(path) for point in _moved(pair, places, lanes, name))


def _moved(
    pair: tuple[int, int],
    places: Sequence[Point],
    lanes: Mapping[tuple[int, int], Sequence[str]],
    name: str,
) -> Iterator[Point]:
    low, high = min(pair), max(pair)
    names = lanes[low, high]
    aside = (names.index(name) - (len(names) - 1) / 2) * _LANE
    across = (places[high][0] - places[low][0], places[high][1] - places[low][1])
    length = max((across[0] ** 2 + across[1] ** 2) ** 0.5, 1e-6)
    for stop in pair:
        x, y = places[stop]
        yield (
            round(x - aside * across[1] / length, 1),
            round(y + aside * across[0] / length, 1),
        )
