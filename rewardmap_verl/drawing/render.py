"""Draw a placed network as a schematic map and report where everything is on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from PIL import Image

from rewardmap_verl.drawing.canvas import compose
from rewardmap_verl.drawing.map_layout import MapLayout, lay_out_map
from rewardmap_verl.drawing.raster import paint, png_bytes
from rewardmap_verl.drawing.scene import Box, Point, Scene, scaled_box
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.drawing.vector import svg_text
from rewardmap_verl.transit.placement import PlacedNetwork


@dataclass(frozen=True, slots=True)
class LabelBox:
    """The label of a stop: four corners, clockwise from the start of the text."""

    stop: int
    text: str
    corners: tuple[Point, Point, Point, Point]
    angle: int


@dataclass(frozen=True, slots=True)
class BadgeBox:
    """The badge of a line at one of its ends."""

    line: int
    stop: int
    box: Box


@dataclass(frozen=True, slots=True)
class LegendBox:
    """The legend entry of a line: left, top, right, bottom."""

    line: int
    box: Box


@dataclass(frozen=True)
class DrawnMap:
    """A finished map. Coordinates are pixels of ``image``; x to the right, y down."""

    scene: Scene
    scale: float
    stops: tuple[Point, ...]
    """The center of each stop's symbol."""
    calls: tuple[dict[str, Point], ...]
    """For each stop, the point at which each line calls, by line name."""
    curves: tuple[tuple[tuple[Point, ...], ...], ...]
    """For each line and path, the centerline as drawn."""
    colors: tuple[str, ...]
    """The color of each line, ``#rrggbb``."""
    labels: tuple[LabelBox, ...]
    badges: tuple[BadgeBox, ...]
    legend: tuple[LegendBox, ...]
    legend_box: Box
    """The legend including its frame."""
    words: tuple[Box, ...]
    """Boxes of the words in the scenery (zones, water, grid)."""
    crowded: tuple[int, ...]
    """Stops whose label overlaps something because no map size left room for it; normally none."""
    walks: tuple[tuple[int, int], ...] = ()
    """Pairs of stops joined by a walking link."""

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return round(self.scene.width * self.scale), round(self.scene.height * self.scale)

    @cached_property
    def image(self) -> Image.Image:
        """Return the map as an image."""
        return paint(self.scene, self.scale)

    def image_at(self, width: int) -> Image.Image:
        """Return the map as an image of another width, drawn again and not resampled."""
        return paint(self.scene, width / self.scene.width)

    def png(self) -> bytes:
        """Return the map as a PNG file; the same map gives the same bytes."""
        return png_bytes(self.image)

    def svg(self) -> str:
        """Return the map as an SVG document in the units of scale 1."""
        return svg_text(self.scene)

    def to_json(self) -> dict[str, Any]:
        """Return all positions as JSON-able data: size, stops, calls, curves, labels, legend."""
        return {
            "size": list(self.size),
            "stops": self.stops,
            "calls": self.calls,
            "curves": self.curves,
            "colors": self.colors,
            "labels": [asdict(label) for label in self.labels],
            "badges": [asdict(badge) for badge in self.badges],
            "legend": [asdict(entry) for entry in self.legend],
        }


def draw_map(placed: PlacedNetwork, style: MapStyle, width: int | None = None) -> DrawnMap:
    """Draw a map at its natural size, or scaled to a ``width`` in pixels."""
    plan = lay_out_map(placed, style)
    canvas = compose(plan, style)
    scale = width / canvas.scene.width if width else 1.0

    def at(point: Point) -> Point:
        x, y = point[0] + canvas.shift[0], point[1] + canvas.shift[1]
        return round(x * scale, 2), round(y * scale, 2)

    return DrawnMap(
        scene=canvas.scene,
        scale=scale,
        stops=tuple(at(symbol.center) for symbol in plan.obstacle_map.symbols),
        calls=tuple({name: at(p) for name, p in calls.items()} for calls in plan.lanes.calls),
        curves=tuple(
            tuple(tuple(at(p) for p in path) for path in paths) for paths in plan.lanes.curves
        ),
        colors=plan.colors,
        labels=_labels(plan, at),
        badges=tuple(BadgeBox(b.line, b.stop, _box(at, b.rect.box())) for b in plan.badges),
        legend=tuple(LegendBox(line, scaled_box(box, scale)) for line, box in canvas.legend),
        legend_box=scaled_box(canvas.legend_box, scale),
        words=tuple(scaled_box(rect.box(), scale) for rect in canvas.words),
        crowded=plan.crowded,
        walks=tuple(link.stops for link in plan.walks),
    )


def _labels(plan: MapLayout, at: Callable[[Point], Point]) -> tuple[LabelBox, ...]:
    labels = []
    for stop, candidate in zip(plan.placed.network.stops, plan.labels, strict=True):
        a, b, c, d = (at(corner) for corner in candidate.rect.corners())
        labels.append(LabelBox(stop.index, stop.name, (a, b, c, d), candidate.position.angle))
    return tuple(labels)


def _box(at: Callable[[Point], Point], box: Box) -> Box:
    (left, top), (right, bottom) = at((box[0], box[1])), at((box[2], box[3]))
    return left, top, right, bottom
