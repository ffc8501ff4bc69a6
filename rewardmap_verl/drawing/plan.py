"""Decide where everything on a map stands: tracks, stops, names and line badges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rewardmap_verl.drawing.badges import Badge, place_badges
from rewardmap_verl.drawing.colors import line_colors
from rewardmap_verl.drawing.geometry import Rect, band, bounds, union
from rewardmap_verl.drawing.label_candidates import (
    Ground,
    Place,
    Symbol,
    clear_places,
    first_wish,
    survey,
)
from rewardmap_verl.drawing.label_placement import settle
from rewardmap_verl.drawing.lanes import Lanes, lay_lanes
from rewardmap_verl.drawing.scene import Box, Point
from rewardmap_verl.drawing.stop_shifting import free_places, track_around, with_moved
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.transit.placement import PlacedNetwork

_GROWTH = 1.12
_MOST_GROWTHS = 9


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything of the map itself, in pixels that start anywhere."""

    placed: PlacedNetwork
    """The network with its stops where they are drawn."""
    lanes: Lanes
    ground: Ground
    labels: tuple[Place, ...]
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


def make_plan(placed: PlacedNetwork, style: MapStyle) -> Plan:
    """Lay out a map, at the smallest size at which every name has a place of its own.

    Stops whose name finds no room are moved along their track; when that is not enough, the grid
    is enlarged step by step.
    """
    unit = style.unit / placed.grain
    for _ in range(_MOST_GROWTHS):
        placed, lanes, ground, options = _with_room(placed, style, unit)
        labels, crowded = _labels(placed, ground, options, style)
        if not crowded:
            break
        unit *= _GROWTH
    badges = place_badges(placed, lanes, ground, labels, style) if style.badges else ()
    return Plan(placed, lanes, ground, labels, crowded, badges, line_colors(placed.network))


def _labels(
    placed: PlacedNetwork, ground: Ground, clear: list[list[Place]], style: MapStyle
) -> tuple[tuple[Place, ...], tuple[int, ...]]:
    """A place for each name, and the stops whose name overlaps something there."""
    options = [places or [first_wish(ground, i, style)] for i, places in enumerate(clear)]
    chosen, stuck = settle(options, _neighbors(placed), style)
    blocked = [stop for stop, places in enumerate(clear) if not places]
    places = tuple(options[stop][option] for stop, option in enumerate(chosen))
    return places, tuple(sorted({*stuck, *blocked}))


def _with_room(
    placed: PlacedNetwork, style: MapStyle, unit: float
) -> tuple[PlacedNetwork, Lanes, Ground, list[list[Place]]]:
    """Move stops without a place for their name along their track, as far as that helps.

    Gives the clear places of every name beside the network, tracks and ground.
    """
    lanes, ground = _ground(placed, style, unit)
    options = _options(ground, style)
    blocked = [stop for stop, places in enumerate(options) if not places]
    moved = _all_moved(placed, ground, blocked, style, unit)
    if moved is placed:
        return placed, lanes, ground, options
    lanes, ground = _ground(moved, style, unit)
    return moved, lanes, ground, _options(ground, style)


def _options(ground: Ground, style: MapStyle) -> list[list[Place]]:
    return [clear_places(ground, stop, style) for stop in range(len(ground.symbols))]


def _all_moved(
    placed: PlacedNetwork, ground: Ground, stops: Sequence[int], style: MapStyle, unit: float
) -> PlacedNetwork:
    """The network with each of the stops where its name is clear, as far as there is such a place.

    A symbol is tried elsewhere as it is; the caller lays out the result and looks again.
    """
    around = track_around(placed)
    for stop in stops:
        symbol, (x, y) = ground.symbols[stop], placed.positions[stop]
        for point in free_places(placed, around, stop):
            shifted = symbol.moved((point[0] - x) * unit, (point[1] - y) * unit)
            trial = ground.with_symbol(stop, shifted)
            if clear_places(trial, stop, style):
                placed, ground = with_moved(placed, [(stop, point)]), trial
                break
        ground = ground.with_symbol(stop, ground.symbols[stop])  # look-ups forget failed trials
    return placed


def _ground(placed: PlacedNetwork, style: MapStyle, unit: float) -> tuple[Lanes, Ground]:
    """Tracks and stop symbols in pixels, and what labels must keep clear of."""
    lanes = lay_lanes(placed, unit, style.line_width, style.lane_gap, style.bend_radius)
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
    return lanes, survey(symbols, obstacles, style.font_size * 4)


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
