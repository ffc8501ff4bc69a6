"""Decide where everything on a map stands: tracks, stops, names and line badges."""

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
from rewardmap_verl.transit.placement import PlacedNetwork

_GROWTH = 1.12
_MAX_GROWTHS = 9


@dataclass(frozen=True, slots=True)
class MapLayout:
    """Everything of the map itself, in pixels that start anywhere."""

    placed: PlacedNetwork
    """The network with its stops where they are drawn."""
    lanes: Lanes
    ground: ObstacleMap
    labels: tuple[LabelCandidate, ...]
    """The place of each stop's name."""
    crowded: tuple[int, ...]
    """Stops whose name overlaps something all the same."""
    badges: tuple[Badge, ...]
    colors: tuple[str, ...]
    """Of each line."""

    def solids(self) -> list[Rect]:
        """The shapes that nothing else may cover: tracks, symbols, names and badges."""
        return [
            *(rect for _, rect in self.ground.obstacles),
            *(place.rect for place in self.labels),
            *(badge.rect for badge in self.badges),
        ]

    def box(self) -> Box:
        """The smallest upright box around the map."""
        return union([solid.box() for solid in self.solids()])


def lay_out_map(placed: PlacedNetwork, style: MapStyle) -> MapLayout:
    """Lay out a map, at the smallest size at which every name has a place of its own.

    Stops whose name finds no room are moved along their track; when that is not enough, the grid
    is enlarged step by step.
    """
    unit = style.unit / placed.grain
    for _ in range(_MAX_GROWTHS):
        placed, lanes, ground, options = _make_room(placed, style, unit)
        labels, crowded = _labels(placed, ground, options, style)
        if not crowded:
            break
        unit *= _GROWTH
    badges = place_badges(placed, lanes, ground, labels, style) if style.badges else ()
    return MapLayout(placed, lanes, ground, labels, crowded, badges, line_colors(placed.network))


def _labels(
    placed: PlacedNetwork, ground: ObstacleMap, clear: list[list[LabelCandidate]], style: MapStyle
) -> tuple[tuple[LabelCandidate, ...], tuple[int, ...]]:
    """A place for each name, and the stops whose name overlaps something there."""
    options = [places or [fallback_candidate(ground, i, style)] for i, places in enumerate(clear)]
    chosen, stuck = place_labels(options, _neighbors(placed), style)
    blocked = [stop for stop, places in enumerate(clear) if not places]
    places = tuple(options[stop][option] for stop, option in enumerate(chosen))
    return places, tuple(sorted({*stuck, *blocked}))


def _make_room(
    placed: PlacedNetwork, style: MapStyle, unit: float
) -> tuple[PlacedNetwork, Lanes, ObstacleMap, list[list[LabelCandidate]]]:
    """Move stops without a place for their name along their track, as far as that helps.

    Gives the clear places of every name beside the network, tracks and ground.
    """
    lanes, ground = _obstacle_map(placed, style, unit)
    options = _options(ground, style)
    blocked = [stop for stop, places in enumerate(options) if not places]
    moved = _shift_stops(placed, ground, blocked, style, unit)
    if moved is placed:
        return placed, lanes, ground, options
    lanes, ground = _obstacle_map(moved, style, unit)
    return moved, lanes, ground, _options(ground, style)


def _options(ground: ObstacleMap, style: MapStyle) -> list[list[LabelCandidate]]:
    return [free_candidates(ground, stop, style) for stop in range(len(ground.symbols))]


def _shift_stops(
    placed: PlacedNetwork, ground: ObstacleMap, stops: Sequence[int], style: MapStyle, unit: float
) -> PlacedNetwork:
    """The network with each of the stops where its name is clear, as far as there is such a place.

    A symbol is tried elsewhere as it is; the caller lays out the result and looks again.
    """
    around = track_graph(placed)
    for stop in stops:
        symbol, (x, y) = ground.symbols[stop], placed.positions[stop]
        for point in free_positions(placed, around, stop):
            shifted = symbol.moved((point[0] - x) * unit, (point[1] - y) * unit)
            trial = ground.with_symbol(stop, shifted)
            if free_candidates(trial, stop, style):
                placed, ground = with_stops_at(placed, [(stop, point)]), trial
                break
        ground = ground.with_symbol(stop, ground.symbols[stop])  # look-ups forget failed trials
    return placed


def _obstacle_map(placed: PlacedNetwork, style: MapStyle, unit: float) -> tuple[Lanes, ObstacleMap]:
    """Tracks and stop symbols in pixels, and what labels must keep clear of."""
    lanes = compute_lanes(placed, unit, style.line_width, style.lane_gap, style.bend_radius)
    symbols = tuple(
        _symbol(stop.name, lanes.calls[stop.index], len(stop.lines) > 1, style)
        for stop in placed.network.stops
    )
    clear = style.label_gap * 0.6
    obstacles: list[tuple[int, Rect]] = [
        (-1, band(a, b, bundle / 2 + clear)) for a, b, bundle in lanes.tracks
    ]
    obstacles += [
        (i, band(point, point, symbol.radius + clear))
        for i, symbol in enumerate(symbols)
        for point in symbol.points
    ]
    return lanes, build_obstacle_map(symbols, obstacles, style.font_size * 4)


def _symbol(name: str, calls: dict[str, Point], interchange: bool, style: MapStyle) -> Symbol:
    points = tuple(dict.fromkeys(calls.values()))
    left, top, right, bottom = bounds(points)
    radius = style.interchange_radius if interchange else style.stop_radius
    return Symbol(name, ((left + right) / 2, (top + bottom) / 2), points, radius)


def _neighbors(placed: PlacedNetwork) -> Sequence[Sequence[int]]:
    """The stops before and after each stop on any line."""
    found: list[dict[int, None]] = [{} for _ in placed.network.stops]
    for path in (path for line in placed.network.lines for path in line.paths):
        for a, b in pairwise(path):
            found[a][b] = None
            found[b][a] = None
    return [list(others) for others in found]
