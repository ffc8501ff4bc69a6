"""Badges at the ends of lines: the short name of the line on its colour, as in real maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import ImageColor

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.geometry import Quad, bounds, distance, overlap
from rewardmap_verl.drawing.labels import Ground, Placement
from rewardmap_verl.drawing.lanes import Lanes
from rewardmap_verl.drawing.scene import Area, Point, Shape, Stroke, Text
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.transit.placement import PlacedNetwork

_HALF = 0.5**0.5
_LONGEST = 4
_SIDES: tuple[Point, ...] = (
    (1.0, 0.0),
    (_HALF, _HALF),
    (0.0, 1.0),
    (-_HALF, _HALF),
    (-1.0, 0.0),
    (-_HALF, -_HALF),
    (0.0, -1.0),
    (_HALF, -_HALF),
)


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge at one end of a line."""

    line: int
    stop: int
    text: str
    quad: Quad


def badge_text(name: str) -> str:
    """The short name of a line: "12" for "Line 12"; empty when there is none."""
    short = name.removeprefix("Line ").strip()
    return short if len(short) <= _LONGEST else ""


def place_badges(
    placed: PlacedNetwork, lanes: Lanes, ground: Ground, placement: Placement, style: MapStyle
) -> tuple[Badge, ...]:
    """Badges for all ends of lines where one finds room; names come first."""
    badges: list[Badge] = []
    for line, name in enumerate(line.name for line in placed.network.lines):
        text = badge_text(name)
        for stop, heading in _ends(placed, lanes, line) if text else ():
            labels = [place.quad for place in placement.places]
            taken = labels + [badge.quad for badge in badges]
            quad = _room(ground, stop, heading, text, taken, style)
            if quad:
                badges.append(Badge(line, stop, text, quad))
    return tuple(badges)


def badge_shapes(badge: Badge, colour: str, style: MapStyle) -> tuple[Shape, ...]:
    """A plate with round corners in the colour of the line, the name in black or white."""
    left, top, right, bottom = bounds(badge.quad)
    rim = style.font_size * 0.2
    inner = (
        (left + rim, top + rim),
        (right - rim, top + rim),
        (right - rim, bottom - rim),
        (left + rim, bottom - rim),
    )
    width, above, _ = text_extent(badge.text, _size(style), True)
    origin = ((left + right - width) / 2, (top + bottom + above) / 2)
    text = Text(origin, badge.text, _size(style), _contrast(colour), width, bold=True)
    return Area(inner, colour), Stroke((*inner, inner[0]), 2 * rim, colour), text


def _size(style: MapStyle) -> float:
    return style.font_size * 0.9


def _contrast(colour: str) -> str:
    """Black on light colours, white on dark ones (luma of ITU-R BT.601)."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return "#101418" if 299 * red + 587 * green + 114 * blue > 150_000 else "#ffffff"


def _ends(placed: PlacedNetwork, lanes: Lanes, line: int) -> Iterator[tuple[int, Point]]:
    """The ends of a line and the direction in which it arrives there; a loop has none."""
    paths = placed.network.lines[line].paths
    for number, (path, curve) in enumerate(zip(paths, lanes.curves[line], strict=True)):
        if path[0] == path[-1]:
            continue
        if number == 0:
            yield path[0], _direction(curve[1], curve[0])
        yield path[-1], _direction(curve[-2], curve[-1])


def _direction(a: Point, b: Point) -> Point:
    length = ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 or 1.0
    return (b[0] - a[0]) / length, (b[1] - a[1]) / length


def _room(
    ground: Ground, stop: int, heading: Point, text: str, taken: list[Quad], style: MapStyle
) -> Quad | None:
    """A free box beside the stop, as nearly ahead of the line as may be."""
    width, above, _ = text_extent(text, _size(style), True)
    high = above + 0.7 * style.font_size
    wide = max(high, width + 0.7 * style.font_size)
    symbol = ground.symbols[stop]
    ahead = sorted(_SIDES, key=lambda side: -(side[0] * heading[0] + side[1] * heading[1]))
    for far in (1.0, 2.5):
        for dx, dy in ahead:
            reach = symbol.radius + far * style.label_gap
            reach += max(
                (x - symbol.centre[0]) * dx + (y - symbol.centre[1]) * dy for x, y in symbol.points
            )
            x = symbol.centre[0] + dx * reach + _sign(dx) * wide / 2
            y = symbol.centre[1] + dy * reach + _sign(dy) * high / 2
            quad = _box(x, y, wide, high)
            if _is_free(ground, stop, quad, taken):
                return quad
    return None


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _box(x: float, y: float, wide: float, high: float) -> Quad:
    left, top, right, bottom = x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _is_free(ground: Ground, stop: int, quad: Quad, taken: list[Quad]) -> bool:
    hit = any(
        ground.obstacles[i][0] != stop and overlap(quad, ground.obstacles[i][1])
        for i in ground.fields.near(bounds(quad))
    )
    own = distance(quad, ground.symbols[stop].centre)
    nearest = all(distance(quad, symbol.centre) >= own for symbol in ground.symbols)
    return nearest and not hit and not any(overlap(quad, other) for other in taken)
