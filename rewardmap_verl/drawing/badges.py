"""Badges of lines: the name of the line on its color, at its ends if possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap

from rewardmap_verl.drawing.colors import luma
from rewardmap_verl.drawing.fonts import LINE_HEIGHT, text_extent
from rewardmap_verl.drawing.geometry import Rect, distance, overlap
from rewardmap_verl.drawing.label_candidates import LabelCandidate, ObstacleMap
from rewardmap_verl.drawing.lanes import Lanes
from rewardmap_verl.drawing.scene import Area, Point, Shape, Stroke, Text
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.transit.placement import PlacedNetwork

_HALF = 0.5**0.5
_ROW_LENGTH = 20
"""Longer names take several rows."""
_DISTANCES = (1.0, 2.5)
_FAR_DISTANCES = (1.0, 2.5, 4.0, 6.0, 9.0)
"""Distances from the symbol to try, in label gaps."""
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
    """A badge of a line at one of its stops."""

    line: int
    stop: int
    rows: tuple[str, ...]
    rect: Rect


def badge_rows(name: str) -> tuple[str, ...]:
    """Return the text of a badge: "12" for "Line 12", a long name in rows of similar length."""
    text = name.removeprefix("Line ").strip() or name
    amount = -(-len(text) // _ROW_LENGTH)
    lengths = range(-(-len(text) // amount), len(text) + 1)
    wrapped = (wrap(text, length, break_long_words=False) for length in lengths)
    return tuple(next(rows for rows in wrapped if len(rows) <= amount))


def place_badges(
    placed: PlacedNetwork,
    lanes: Lanes,
    obstacle_map: ObstacleMap,
    labels: Sequence[LabelCandidate],
    style: MapStyle,
) -> tuple[Badge, ...]:
    """Place a badge at every end of a line where there is room; labels take precedence.

    A line without room at its ends, or without ends, gets one badge at another of its stops.
    """
    badges: list[Badge] = []

    def put(line: int, stop: int, heading: Point, distances: Sequence[float]) -> bool:
        rows = badge_rows(placed.network.lines[line].name)
        pad = style.label_gap / 2
        taken = [candidate.rect.grown(pad, pad) for candidate in labels]
        taken += [badge.rect.grown(pad, pad) for badge in badges]
        rect = _room(obstacle_map, stop, heading, rows, taken, distances, style)
        if rect:
            badges.append(Badge(line, stop, rows, rect))
        return rect is not None

    numbers = range(len(placed.network.lines))
    for line in numbers:
        for stop, heading in _ends(placed, lanes, line):
            put(line, stop, heading, _DISTANCES)
    for line in set(numbers) - {badge.line for badge in badges}:
        any(put(line, stop, (0.0, -1.0), _FAR_DISTANCES) for stop in _plain_first(placed, line))
    return tuple(badges)


def _plain_first(placed: PlacedNetwork, line: int) -> list[int]:
    """Return the stops of a line, those of no other line first."""
    network = placed.network
    return sorted(network.lines[line].stops, key=lambda stop: len(network.stops[stop].lines) > 1)


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
    _, height, extents = _block(badge.rows, style)
    baseline = (top + bottom - height) / 2 + extents[0][1]
    texts = []
    for number, (row, (width, _, _)) in enumerate(zip(badge.rows, extents, strict=True)):
        origin = (left + right - width) / 2, baseline + number * LINE_HEIGHT * _size(style)
        texts.append(Text(origin, row, _size(style), _contrast(color), width, True, 0, True))
    return Area(inner, color), Stroke((*inner, inner[0]), 2 * rim, color), *texts


def _block(
    rows: Sequence[str], style: MapStyle
) -> tuple[float, float, list[tuple[float, float, float]]]:
    """Return width and height of the rows, without what a single row has below its baseline."""
    extents = [text_extent(row, _size(style), True) for row in rows]
    leading = (len(rows) - 1) * LINE_HEIGHT * _size(style)
    return max(width for width, _, _ in extents), extents[0][1] + leading, extents


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
    rows: Sequence[str],
    taken: list[Rect],
    distances: Sequence[float],
    style: MapStyle,
) -> Rect | None:
    """Return a free box next to the stop, as closely ahead of the line as possible."""
    width, height, _ = _block(rows, style)
    high = height + 0.7 * style.font_size
    wide = max(high, width + 0.7 * style.font_size)
    symbol = obstacle_map.symbols[stop]
    ahead = sorted(_SIDES, key=lambda side: -(side[0] * heading[0] + side[1] * heading[1]))
    for far in distances:
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
