"""Draw a placed network as a schematic map, and say where everything is on it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from PIL import Image

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.geometry import Quad, band, bounds, square
from rewardmap_verl.drawing.labels import (
    Ground,
    Place,
    Placement,
    Symbol,
    choose_places,
    clear_places,
    set_text,
    survey,
)
from rewardmap_verl.drawing.lanes import Lanes, lay_lanes
from rewardmap_verl.drawing.legend import arrange, dot, frame, legend_entries
from rewardmap_verl.drawing.raster import paint, png_bytes
from rewardmap_verl.drawing.scene import Box, Point, Scene, Shape, Stroke, Text, move, scaled_box
from rewardmap_verl.drawing.slide import free_places, track_around, with_moved
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.drawing.vector import svg_text
from rewardmap_verl.transit.placement import PlacedNetwork

_GROWTH = 1.12
_MOST_GROWTHS = 9


@dataclass(frozen=True, slots=True)
class LabelBox:
    """Where the name of a stop is printed: four corners, clockwise from where the text starts."""

    stop: int
    text: str
    corners: tuple[Point, Point, Point, Point]
    angle: int


@dataclass(frozen=True, slots=True)
class LegendBox:
    """Where the legend explains a line: left, top, right, bottom of the entry."""

    line: int
    box: Box


@dataclass(frozen=True)
class DrawnMap:
    """A finished map. Coordinates are pixels of ``image``; x to the right, y down."""

    scene: Scene
    scale: float
    stops: tuple[Point, ...]
    """The middle of each stop's symbol."""
    calls: tuple[dict[str, Point], ...]
    """For each stop, where each line passes its symbol, by the name of the line."""
    curves: tuple[tuple[tuple[Point, ...], ...], ...]
    """For each line and path, the middle of the drawn line."""
    labels: tuple[LabelBox, ...]
    legend: tuple[LegendBox, ...]
    crowded: tuple[int, ...]
    """Stops whose label overlaps something because no map size gave it room; normally none."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return round(self.scene.width * self.scale), round(self.scene.height * self.scale)

    @cached_property
    def image(self) -> Image.Image:
        """The map as pixels."""
        return paint(self.scene, self.scale)

    def png(self) -> bytes:
        """The map as a PNG file; the same bytes for the same map."""
        return png_bytes(self.image)

    def svg(self) -> str:
        """The map as an SVG document, in the units of scale 1."""
        return svg_text(self.scene)

    def to_json(self) -> dict[str, Any]:
        """Positions of everything as JSON-able data: size, stops, calls, curves, labels, legend."""
        return {
            "size": list(self.size),
            "stops": self.stops,
            "calls": self.calls,
            "curves": self.curves,
            "labels": [asdict(label) for label in self.labels],
            "legend": [asdict(entry) for entry in self.legend],
        }


def draw_map(placed: PlacedNetwork, style: MapStyle, width: int | None = None) -> DrawnMap:
    """Draw a map; ``width`` in pixels scales the whole of it, otherwise it gets its natural size.

    Stops whose name finds no room are moved along their track; when that is not enough, the grid
    is enlarged step by step until every name has a place of its own.
    """
    plan = _plan(placed, style, style.unit)
    for growth in range(_MOST_GROWTHS):
        if not plan.placement.crowded:
            break
        plan = _plan(plan.placed, style, style.unit * _GROWTH ** (growth + 1))
    return _compose(plan.placed, style, plan, width)


@dataclass(frozen=True, slots=True)
class _Plan:
    placed: PlacedNetwork
    lanes: Lanes
    symbols: tuple[Symbol, ...]
    placement: Placement


def _plan(placed: PlacedNetwork, style: MapStyle, unit: float) -> _Plan:
    """Lay out at one size; stops without a place for their name are moved along their track."""
    lanes, ground = _ground(placed, style, unit)
    moved = placed
    for stop, places in enumerate(_options(ground, style)):
        if not places:
            moved = _moved(moved, stop, style, unit) or moved
    if moved is not placed:
        placed, (lanes, ground) = moved, _ground(moved, style, unit)
    placement = choose_places(_options(ground, style), ground, _neighbours(placed), style)
    return _Plan(placed, lanes, ground.symbols, placement)


def _options(ground: Ground, style: MapStyle) -> list[list[Place]]:
    return [clear_places(ground, stop, style) for stop in range(len(ground.symbols))]


def _moved(placed: PlacedNetwork, stop: int, style: MapStyle, unit: float) -> PlacedNetwork | None:
    """The network with one stop where its name is clear; None when there is no such place."""
    for point in free_places(placed, track_around(placed), stop):
        other = with_moved(placed, [(stop, point)])
        if clear_places(_ground(other, style, unit)[1], stop, style):
            return other
    return None


def _ground(placed: PlacedNetwork, style: MapStyle, unit: float) -> tuple[Lanes, Ground]:
    """Tracks and stop symbols in pixels, and what labels must keep clear of."""
    lanes = lay_lanes(placed, unit, style.line_width, style.lane_gap, style.bend_radius)
    symbols = tuple(
        _symbol(stop.name, lanes.calls[stop.index], len(stop.lines) > 1, style)
        for stop in placed.network.stops
    )
    clear = style.label_gap * 0.6
    obstacles: list[tuple[int, Quad]] = [
        (-1, band(a, b, bundle / 2 + clear)) for a, b, bundle in lanes.tracks
    ]
    obstacles += [
        (i, square(point, symbol.radius + clear))
        for i, symbol in enumerate(symbols)
        for point in symbol.points
    ]
    return lanes, survey(symbols, obstacles, style.unit)


def _symbol(name: str, calls: dict[str, Point], interchange: bool, style: MapStyle) -> Symbol:
    points = tuple(dict.fromkeys(calls.values()))
    left, top, right, bottom = bounds(points)
    radius = style.interchange_radius if interchange else style.stop_radius
    return Symbol(name, ((left + right) / 2, (top + bottom) / 2), points, radius)


def _neighbours(placed: PlacedNetwork) -> list[list[int]]:
    found: list[dict[int, None]] = [{} for _ in placed.network.stops]
    for line in placed.network.lines:
        for path in line.paths:
            for a, b in itertools.pairwise(path):
                found[a][b] = None
                found[b][a] = None
    return [list(others) for others in found]


def _symbol_shapes(symbol: Symbol, style: MapStyle) -> list[Shape]:
    """A disc, or a capsule over all lanes where lines call side by side."""
    if len(symbol.points) == 1:
        return list(dot(style, symbol.points[0], symbol.radius))
    inner = max(symbol.radius - style.ring_width, symbol.radius / 3)
    pairs = [(a, b) for i, a in enumerate(symbol.points) for b in symbol.points[i + 1 :]]
    rims: list[Shape] = [Stroke(pair, 2 * symbol.radius, style.ink) for pair in pairs]
    return rims + [Stroke(pair, 2 * inner, style.paper) for pair in pairs]


def _compose(placed: PlacedNetwork, style: MapStyle, plan: _Plan, width: int | None) -> DrawnMap:
    """Put map, heading and legend on one canvas that just holds them."""
    left, top, right, bottom = _content_box(plan, style)
    heading = placed.title if style.title_font_size else ""
    head = style.title_font_size * 1.7 if heading else 0.0
    dx, dy = style.margin - left, style.margin + head - top
    map_right, map_bottom = right + dx, bottom + dy
    shapes = [move(shape, dx, dy) for shape in _map_shapes(placed, style, plan)]
    legend, legend_boxes, full_width, full_height = _legend(
        placed, style, (style.margin, style.margin + head), (map_right, map_bottom)
    )
    shapes += legend
    if heading:
        size = style.title_font_size
        room, above, _ = text_extent(heading, size, True)
        origin = (style.margin, style.margin + above)
        shapes.append(Text(origin, heading, size, style.ink, room, bold=True))
        full_width = max(full_width, room + 2 * style.margin)
    scene = Scene(full_width, full_height, style.background, tuple(shapes))
    return _finish(placed, plan, scene, (dx, dy), legend_boxes, width)


def _content_box(plan: _Plan, style: MapStyle) -> Box:
    reach = max(style.interchange_radius, style.line_width)
    points = [p for line in plan.lanes.curves for path in line for p in path]
    left, top, right, bottom = bounds(points)
    boxes = [place.box for place in plan.placement.places]
    boxes.append((left - reach, top - reach, right + reach, bottom + reach))
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _map_shapes(placed: PlacedNetwork, style: MapStyle, plan: _Plan) -> list[Shape]:
    shapes: list[Shape] = []
    for line, paths in zip(placed.network.lines, plan.lanes.curves, strict=True):
        shapes += [Stroke(path, style.line_width, line.color or style.ink) for path in paths]
    for symbol in plan.symbols:
        shapes += _symbol_shapes(symbol, style)
    for symbol, place in zip(plan.symbols, plan.placement.places, strict=True):
        shapes += set_text(place, symbol.centre, style)
    return shapes


def _legend(
    placed: PlacedNetwork, style: MapStyle, start: Point, end: Point
) -> tuple[list[Shape], list[LegendBox], float, float]:
    """The legend's shapes and boxes, and the size of the canvas with it."""
    lines = [(line.name, line.color or style.ink) for line in placed.network.lines]
    entries = legend_entries(lines, style)
    beside = style.legend_place == "right"
    pad = style.legend_font_size * 0.8
    room = 0.0 if beside else end[0] - start[0] - 2 * pad
    arranged, wide, high = arrange(entries, room, style)
    x = end[0] + style.margin if beside else start[0]
    y = start[1] if beside else end[1] + style.margin
    box = (x, y, x + wide + 2 * pad, y + high + 2 * pad)
    shapes = list(frame(box, style))
    boxes = []
    for entry, across, down in arranged:
        ex, ey = x + pad + across, y + pad + down
        shapes += [move(shape, ex, ey) for shape in entry.shapes]
        if entry.line is not None:
            boxes.append(LegendBox(entry.line, (ex, ey, ex + entry.width, ey + entry.height)))
    return shapes, boxes, max(box[2], end[0]) + style.margin, max(box[3], end[1]) + style.margin


def _finish(
    placed: PlacedNetwork,
    plan: _Plan,
    scene: Scene,
    shift: Point,
    legend: Sequence[LegendBox],
    width: int | None,
) -> DrawnMap:
    """Give all positions in pixels of the final image."""
    scale = width / scene.width if width else 1.0

    def at(point: Point) -> Point:
        return round((point[0] + shift[0]) * scale, 2), round((point[1] + shift[1]) * scale, 2)

    labels = []
    for stop, place in zip(placed.network.stops, plan.placement.places, strict=True):
        a, b, c, d = place.quad
        corners = (at(a), at(b), at(c), at(d))
        labels.append(LabelBox(stop.index, stop.name, corners, place.wish.angle))
    scaled = [LegendBox(e.line, scaled_box(e.box, scale)) for e in legend]
    return DrawnMap(
        scene=scene,
        scale=scale,
        stops=tuple(at(symbol.centre) for symbol in plan.symbols),
        calls=tuple({name: at(p) for name, p in calls.items()} for calls in plan.lanes.calls),
        curves=tuple(
            tuple(tuple(at(p) for p in path) for path in paths) for paths in plan.lanes.curves
        ),
        labels=tuple(labels),
        legend=tuple(scaled),
        crowded=plan.placement.crowded,
    )
