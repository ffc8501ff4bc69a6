"""Badges at the ends of lines: the short name of the line on its color."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rewardmap_verl.drawing.colors import luma
from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.geometry import Rect, distance, overlap
from rewardmap_verl.drawing.label_candidates import LabelCandidate, ObstacleMap
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
    rect: Rect


def badge_text(name: str) -> str:
    """Return the short name of a line, "12" for "Line 12"; empty if there is none."""
    short = name.removeprefix("Line ").strip()
    return short if len(short) <= _LONGEST else ""


def place_badges(
    placed: PlacedNetwork,
    lanes: Lanes,
    obstacle_map: ObstacleMap,
    labels: Sequence[LabelCandidate],
    style: MapStyle,
) -> tuple[Badge, ...]:
    """Place badges at the ends of lines where there is room; labels take precedence."""
    badges: list[Badge] = []
    for line, name in enumerate(line.name for line in placed.network.lines):
        text = badge_text(name)
        for stop, heading in _ends(placed, lanes, line) if text else ():
            taken = [candidate.rect for candidate in labels] + [badge.rect for badge in badges]
            rect = _room(obstacle_map, stop, heading, text, taken, style)
            if rect:
                badges.append(Badge(line, stop, text, rect))
    return tuple(badges)


def badge_shapes(badge: Badge, color: str, style: MapStyle) -> tuple[Shape, ...]:
    """Return a rounded plate in the color of the line with its name in black or white."""
    left, top, right, bottom = badge.rect.box()
    rim = style.font_size * 0.2
    inner = (
        (left + rim, top + rim),
        (right - rim, top + rim),
        (right - rim, bottom - rim),
        (left + rim, bottom - rim),
    )
    width, above, _ = text_extent(badge.text, _size(style), True)
    origin = ((left + right - width) / 2, (top + bottom + above) / 2)
    text = Text(origin, badge.text, _size(style), _contrast(color), width, bold=True)
    return Area(inner, color), Stroke((*inner, inner[0]), 2 * rim, color), text


def _size(style: MapStyle) -> float:
    return style.font_size * 0.9


def _contrast(color: str) -> str:
    """Return black for light colors and white for dark ones."""
    return "#101418" if luma(color) > 150 else "#ffffff"


def _ends(placed: PlacedNetwork, lanes: Lanes, line: int) -> Iterator[tuple[int, Point]]:
    """Yield each end of a line with the direction in which the line arrives; a loop has none."""
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
    obstacle_map: ObstacleMap,
    stop: int,
    heading: Point,
    text: str,
    taken: list[Rect],
    style: MapStyle,
) -> Rect | None:
    """Return a free box next to the stop, as closely ahead of the line as possible."""
    width, above, _ = text_extent(text, _size(style), True)
    high = above + 0.7 * style.font_size
    wide = max(high, width + 0.7 * style.font_size)
    symbol = obstacle_map.symbols[stop]
    ahead = sorted(_SIDES, key=lambda side: -(side[0] * heading[0] + side[1] * heading[1]))
    for far in (1.0, 2.5):
        for dx, dy in ahead:
            reach = symbol.radius + far * style.label_gap
            reach += max(
                (x - symbol.center[0]) * dx + (y - symbol.center[1]) * dy for x, y in symbol.points
            )
            x = symbol.center[0] + dx * reach + _sign(dx) * wide / 2
            y = symbol.center[1] + dy * reach + _sign(dy) * high / 2
            rect = Rect(x, y, 1.0, 0.0, wide / 2, high / 2)
            if _is_free(obstacle_map, stop, rect, taken):
                return rect
    return None


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _is_free(obstacle_map: ObstacleMap, stop: int, rect: Rect, taken: list[Rect]) -> bool:
    hit = any(
        obstacle_map.obstacles[i][0] != stop and overlap(rect, obstacle_map.obstacles[i][1])
        for i in obstacle_map.obstacle_index.near(rect.box())
    )
    own = distance(rect, obstacle_map.symbols[stop].center)
    nearest = all(distance(rect, symbol.center) >= own for symbol in obstacle_map.symbols)
    return nearest and not hit and not any(overlap(rect, other) for other in taken)
