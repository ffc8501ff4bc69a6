"""Lay out a map: positions of tracks, stops, names and line badges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rewardmap_verl.drawing.badges import Badge, place_badges
from rewardmap_verl.drawing.colors import line_colors
from rewardmap_verl.drawing.geometry import Rect, band, bounds, union
from rewardmap_verl.drawing.label_candidates import (
    LabelCandidate,
    ObstacleMap,
    Symbol,
    build_obstacle_map,
    fallback_candidate,
    free_candidates,
)
from rewardmap_verl.drawing.label_placement import place_labels
from rewardmap_verl.drawing.lanes import Lanes, compute_lanes
from rewardmap_verl.drawing.scene import Box, Point
from rewardmap_verl.drawing.stop_shifting import free_positions, track_graph, with_stops_at
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.drawing.walking_links import WalkingLink, place_walking_links
from rewardmap_verl.transit.network import Network, Stop
from rewardmap_verl.transit.placement import PlacedNetwork

_GROWTH = 1.12
_MAX_GROWTHS = 9


@dataclass(frozen=True, slots=True)
class MapLayout:
    """The layout of a map without legend, title and scenery, in pixels with an arbitrary origin."""

    placed: PlacedNetwork
    """The network, with its stops at the positions where they are drawn."""
    lanes: Lanes
    obstacle_map: ObstacleMap
    labels: tuple[LabelCandidate, ...]
    """The chosen label of each stop."""
    crowded: tuple[int, ...]
    """Stops whose label overlaps something because no size of the map left room for it."""
    badges: tuple[Badge, ...]
    colors: tuple[str, ...]
    """The color of each line."""
    walks: tuple[WalkingLink, ...]

    def solids(self) -> list[Rect]:
        """Return the shapes that nothing else may cover: tracks, symbols, labels and badges."""
        return [
            *(rect for _, rect in self.obstacle_map.obstacles),
            *(candidate.rect for candidate in self.labels),
            *(badge.rect for badge in self.badges),
        ]

    def box(self) -> Box:
        """Return the bounding box of the map."""
        return union([solid.box() for solid in self.solids()])


def lay_out_map(placed: PlacedNetwork, style: MapStyle) -> MapLayout:
    """Lay out a map at the smallest size at which all labels and badges have room.

    A stop whose label has no room is moved along its track. If that is not enough, the grid is
    enlarged step by step.
    """
    unit = style.unit / placed.grain
    for _ in range(_MAX_GROWTHS):
        placed, lanes, obstacle_map, options = _make_room(placed, style, unit)
        labels, crowded = _labels(placed, obstacle_map, options, style)
        badges = place_badges(placed, lanes, obstacle_map, labels, style) if style.badges else ()
        nameless = style.badges and len({b.line for b in badges}) < len(placed.network.lines)
        if not crowded and not nameless:
            break
        unit *= _GROWTH
    walks = place_walking_links(placed, lanes, obstacle_map.symbols, style)
    colors = line_colors(placed.network)
    return MapLayout(placed, lanes, obstacle_map, labels, crowded, badges, colors, walks)


def _labels(
    placed: PlacedNetwork,
    obstacle_map: ObstacleMap,
    clear: list[list[LabelCandidate]],
    style: MapStyle,
) -> tuple[tuple[LabelCandidate, ...], tuple[int, ...]]:
    """Return a label for each stop, and the stops whose label overlaps something."""
    options = [
        candidates or [fallback_candidate(obstacle_map, i, style)]
        for i, candidates in enumerate(clear)
    ]
    chosen, stuck = place_labels(options, _neighbors(placed), style)
    blocked = [stop for stop, candidates in enumerate(clear) if not candidates]
    candidates = tuple(options[stop][option] for stop, option in enumerate(chosen))
    return candidates, tuple(sorted({*stuck, *blocked}))


def _make_room(
    placed: PlacedNetwork, style: MapStyle, unit: float
) -> tuple[PlacedNetwork, Lanes, ObstacleMap, list[list[LabelCandidate]]]:
    """Move stops whose label has no room along their track where that helps.

    Returns:
        The network, its lanes and obstacles, and the free label candidates of each stop.
    """
    lanes, obstacle_map = _obstacle_map(placed, style, unit)
    options = _options(obstacle_map, style)
    blocked = [stop for stop, candidates in enumerate(options) if not candidates]
    moved = _shift_stops(placed, obstacle_map, blocked, style, unit)
    if moved is placed:
        return placed, lanes, obstacle_map, options
    lanes, obstacle_map = _obstacle_map(moved, style, unit)
    return moved, lanes, obstacle_map, _options(obstacle_map, style)


def _options(obstacle_map: ObstacleMap, style: MapStyle) -> list[list[LabelCandidate]]:
    return [free_candidates(obstacle_map, stop, style) for stop in range(len(obstacle_map.symbols))]


def _shift_stops(
    placed: PlacedNetwork,
    obstacle_map: ObstacleMap,
    stops: Sequence[int],
    style: MapStyle,
    unit: float,
) -> PlacedNetwork:
    """Return the network with each of ``stops`` moved to where its label is free, if possible.

    Each symbol is tried at its new position without laying out the tracks again; the caller does
    that and recomputes the candidates.
    """
    around = track_graph(placed)
    for stop in stops:
        symbol, (x, y) = obstacle_map.symbols[stop], placed.positions[stop]
        for point in free_positions(placed, around, stop):
            shifted = symbol.moved((point[0] - x) * unit, (point[1] - y) * unit)
            trial = obstacle_map.with_symbol(stop, shifted)
            if free_candidates(trial, stop, style):
                placed, obstacle_map = with_stops_at(placed, [(stop, point)]), trial
                break
        obstacle_map = obstacle_map.with_symbol(
            stop, obstacle_map.symbols[stop]
        )  # drop failed trials from the index
    return placed


def _obstacle_map(placed: PlacedNetwork, style: MapStyle, unit: float) -> tuple[Lanes, ObstacleMap]:
    """Return tracks and stop symbols in pixels, and everything that labels must avoid."""
    lanes = compute_lanes(placed, unit, style.line_width, style.lane_gap, style.bend_radius)
    ends = _termini(placed.network)
    symbols = tuple(
        _symbol(stop, lanes.calls[stop.index], stop.index in ends, style)
        for stop in placed.network.stops
    )
    clear = style.label_gap * 0.6
    obstacles: list[tuple[int, Rect]] = [
        (-1, band(a, b, width / 2 + clear)) for a, b, width in lanes.tracks
    ]
    obstacles += [
        (i, band(point, point, symbol.radius + clear))
        for i, symbol in enumerate(symbols)
        for point in symbol.points
    ]
    walks = place_walking_links(placed, lanes, symbols, style)
    obstacles += [(-1, link.rect(style).grown(clear, clear)) for link in walks]
    return lanes, build_obstacle_map(symbols, obstacles, style.font_size * 4)


def _termini(network: Network) -> set[int]:
    """Return the stops where a line or a branch of it ends; a loop has no end."""
    firsts = {line.paths[0][0] for line in network.lines if line.paths[0][0] != line.paths[0][-1]}
    paths = (path for line in network.lines for path in line.paths)
    return firsts | {path[-1] for path in paths if path[0] != path[-1]}


def _symbol(stop: Stop, calls: dict[str, Point], terminus: bool, style: MapStyle) -> Symbol:
    points = tuple(dict.fromkeys(calls.values()))
    left, top, right, bottom = bounds(points)
    radius = style.interchange_radius if len(stop.lines) > 1 else style.stop_radius
    return Symbol(stop.name, ((left + right) / 2, (top + bottom) / 2), points, radius, terminus)


def _neighbors(placed: PlacedNetwork) -> Sequence[Sequence[int]]:
    """Return the adjacent stops of each stop on any line."""
    found: list[dict[int, None]] = [{} for _ in placed.network.stops]
    for path in (path for line in placed.network.lines for path in line.paths):
        for a, b in pairwise(path):
            found[a][b] = None
            found[b][a] = None
    return [list(others) for others in found]
