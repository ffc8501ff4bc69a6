"""Generate label candidates: clear of tracks and symbols, and nearest to their own stop.

Point-feature labeling: each label has dozens of candidate positions around its symbol, horizontal,
in several rows, or at 45 degrees. Candidates that overlap a fixed shape are dropped here;
``label_placement`` chooses among the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from rewardmap_verl.drawing.fonts import LINE_HEIGHT, text_extent
from rewardmap_verl.drawing.geometry import (
    BoxIndex,
    Rect,
    bounds,
    distance,
    overlap,
)
from rewardmap_verl.drawing.scene import Box, Point, Text
from rewardmap_verl.drawing.style import MapStyle

Offset = tuple[float, float, float]

_HALF = 0.5**0.5
_TURNS = {0: (1.0, 0.0), -45: (_HALF, -_HALF), 45: (_HALF, _HALF)}
_NEAREST_RATIO = 1.1
"""Every other stop is at least this many times farther from a label than its own."""
_MAX_CANDIDATES = 28
"""Free candidates kept per label, cheapest first."""
_SHORTEST_IN_ROWS = 9
_SMALLER = 0.85
"""Font size, as a share of the normal one, for a label that has no room otherwise."""

# Horizontal alignment of an upright block: the edge of the block (0 left, 0.5 middle, 1 right) is
# placed this many symbol reaches and font sizes to the right of the stop. _DOWN is the same
# vertically.
_ACROSS = (
    (0.0, 1.0, 0.0),
    (1.0, -1.0, 0.0),
    (0.5, 0.0, 0.0),
    (0.0, 0.6, 0.0),
    (1.0, -0.6, 0.0),
    (0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.6),
    (1.0, -1.0, -0.6),
    (0.0, 1.0, 1.1),
    (1.0, -1.0, -1.1),
    (0.0, 1.0, 1.6),
    (1.0, -1.0, -1.6),
)
_DOWN = (
    (0.5, 0.0, 0.0),
    (1.0, -1.0, 0.0),
    (0.0, 1.0, 0.0),
    (1.0, -0.6, 0.0),
    (0.0, 0.6, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 0.0, 0.0),
    (1.0, -1.0, -0.6),
    (0.0, 1.0, 0.6),
)
_MAX_DISTANCE = 2.0
"""Largest distance of a label from its symbol, in font sizes."""

# Direction from the stop, the end of the text nearest to the stop, the angle.
_ROTATED = (
    ((_HALF, -_HALF), 0.0, -45),
    ((_HALF, _HALF), 0.0, 45),
    ((-_HALF, _HALF), 1.0, -45),
    ((-_HALF, -_HALF), 1.0, 45),
    ((0.0, -1.0), 0.0, -45),
    ((0.0, 1.0), 1.0, -45),
    ((0.0, 1.0), 0.0, 45),
    ((0.0, -1.0), 1.0, 45),
)
_EXTRA_DISTANCES = (0.0, 0.5, 1.0)
"""Additional distances of rotated labels from the symbol, in font sizes."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A stop symbol: the points where lines call, and the radius of the drawn symbol."""

    name: str
    center: Point
    points: tuple[Point, ...]
    radius: float
    terminus: bool = False
    """Whether a line ends here; such names are bold."""

    def moved(self, dx: float, dy: float) -> Symbol:
        """Return the symbol moved by (dx, dy)."""
        points = tuple((x + dx, y + dy) for x, y in self.points)
        center = self.center[0] + dx, self.center[1] + dy
        return Symbol(self.name, center, points, self.radius, self.terminus)


@dataclass(frozen=True, slots=True)
class LabelPosition:
    """A possible position of a label, relative to the center of its symbol."""

    cost: int
    kind: int
    """Positions of the same kind look alike next to each other."""
    rows: tuple[str, ...]
    anchor: Point
    part: Point
    """The point of the text block, 0 to 1 across and down, that is placed on the anchor."""
    angle: int
    size: float
    """Font size in pixels."""
    bold: bool
    rect: Rect


@dataclass(frozen=True, slots=True)
class LabelCandidate:
    """A label position on the map."""

    position: LabelPosition
    rect: Rect
    box: Box


@dataclass(frozen=True, slots=True)
class ObstacleMap:
    """What labels must avoid: obstacles, and the symbols of other stops."""

    symbols: tuple[Symbol, ...]
    obstacles: tuple[tuple[int, Rect], ...]
    """Shapes, each with the index of the symbol that it belongs to, or -1."""
    obstacle_index: BoxIndex
    symbol_index: BoxIndex

    def with_symbol(self, number: int, symbol: Symbol) -> ObstacleMap:
        """Return the obstacle map with one symbol replaced; obstacles stay as they are."""
        symbols = (*self.symbols[:number], symbol, *self.symbols[number + 1 :])
        self.symbol_index.add(number, bounds(symbol.points))
        return ObstacleMap(symbols, self.obstacles, self.obstacle_index, self.symbol_index)


def build_obstacle_map(
    symbols: Sequence[Symbol], obstacles: Sequence[tuple[int, Rect]], cell: float
) -> ObstacleMap:
    """Index obstacles and symbols by position; ``cell`` is about the size of a label."""
    obstacle_index, symbol_index = BoxIndex(cell), BoxIndex(cell)
    for number, (_, rect) in enumerate(obstacles):
        obstacle_index.add(number, rect.box())
    for number, symbol in enumerate(symbols):
        symbol_index.add(number, bounds(symbol.points))
    return ObstacleMap(tuple(symbols), tuple(obstacles), obstacle_index, symbol_index)


def fallback_candidate(obstacle_map: ObstacleMap, number: int, style: MapStyle) -> LabelCandidate:
    """Return the candidate of a label that is not free anywhere."""
    symbol = obstacle_map.symbols[number]
    return _placed_at(label_positions(symbol, style)[0], symbol.center)


def free_candidates(
    obstacle_map: ObstacleMap, number: int, style: MapStyle
) -> list[LabelCandidate]:
    """Return the best candidates of one label that overlap nothing fixed.

    A smaller font is tried if the normal one leaves none.
    """
    symbol = obstacle_map.symbols[number]
    for size in (style.font_size, _SMALLER * style.font_size):
        look = style.model_copy(update={"font_size": size})
        every = (_placed_at(position, symbol.center) for position in label_positions(symbol, look))
        free = (
            candidate
            for candidate in every
            if _is_clear(candidate, number, obstacle_map)
            and _is_nearest(candidate, number, obstacle_map)
        )
        found = list(islice(free, _MAX_CANDIDATES))
        if found:
            return found
    return []


def label_positions(symbol: Symbol, style: MapStyle) -> tuple[LabelPosition, ...]:
    """Return all positions that the label of a symbol may take, best first."""
    (cx, cy), points = symbol.center, symbol.points
    around = tuple((round(x - cx, 4), round(y - cy, 4)) for x, y in points)
    bold = style.bold_labels or symbol.terminus
    look = style if bold == style.bold_labels else style.model_copy(update={"bold_labels": bold})
    return _cached_positions(symbol.name, around, symbol.radius, look)


@lru_cache(maxsize=2048)
def _cached_positions(
    name: str, around: tuple[Point, ...], radius: float, style: MapStyle
) -> tuple[LabelPosition, ...]:
    """Return the positions for a symbol; they do not depend on the size of the map."""
    symbol = Symbol(name, (0.0, 0.0), around, radius)
    found = [
        *_horizontal_positions(symbol, style),
        *(_rotated_positions(symbol, style) if style.rotated_labels else ()),
    ]
    return tuple(sorted(found, key=lambda position: (position.cost, position.kind)))


def label_texts(candidate: LabelCandidate, center: Point, style: MapStyle) -> tuple[Text, ...]:
    """Return the rows of text of a chosen candidate for the symbol at ``center``."""
    position = candidate.position
    size, bold = position.size, position.bold
    width, height, extents = _block(position.rows, size, bold)
    cos, sin = _TURNS[position.angle]
    texts = []
    for i, (row, (w, _, _)) in enumerate(zip(position.rows, extents, strict=True)):
        x = (width - w) * position.part[0] - position.part[0] * width
        y = extents[0][1] + size * LINE_HEIGHT * i - position.part[1] * height
        origin = (
            center[0] + position.anchor[0] + x * cos - y * sin,
            center[1] + position.anchor[1] + x * sin + y * cos,
        )
        texts.append(Text(origin, row, size, style.ink, w, bold, position.angle))
    return tuple(texts)


def _horizontal_positions(symbol: Symbol, style: MapStyle) -> Iterator[LabelPosition]:
    """Yield horizontal positions on all sides, in one row or several."""
    _, _, right, bottom = bounds(symbol.points)
    reach, kind = symbol.radius + style.label_gap, 0
    for rows, extra in zip(_row_splits(symbol.name), (0, 3, 6), strict=False):
        for across in _ACROSS:
            for down in _DOWN:
                kind += 1
                x = across[1] * (reach + right) + across[2] * style.font_size
                y = down[1] * (reach + bottom) + down[2] * style.font_size
                rect = _block_rect(rows, (x, y), (across[0], down[0]), 0, style)
                off = min(distance(rect, point) for point in symbol.points) - symbol.radius
                if 0.7 * style.label_gap < off < _MAX_DISTANCE * style.font_size:
                    cost = extra + int(8 * off / style.font_size) + _side_cost(across, down)
                    part = across[0], down[0]
                    yield LabelPosition(
                        *(cost, kind, rows, (x, y), part, 0),
                        *(style.font_size, style.bold_labels, rect),
                    )


def _rotated_positions(symbol: Symbol, style: MapStyle) -> Iterator[LabelPosition]:
    """Yield single rows at 45 degrees that start or end at the symbol."""
    kind = 1000
    for push in _EXTRA_DISTANCES:
        for (dx, dy), end, angle in _ROTATED:
            kind += 1
            reach = max(x * dx + y * dy for x, y in symbol.points) + symbol.radius
            reach += style.label_gap + push * style.font_size
            anchor, part, rows = (dx * reach, dy * reach), (end, 0.5), (symbol.name,)
            rect = _block_rect(rows, anchor, part, angle, style)
            yield LabelPosition(
                *(9 + int(8 * push), kind, rows, anchor, part, angle),
                *(style.font_size, style.bold_labels, rect),
            )


def _side_cost(across: Offset, down: Offset) -> int:
    """Return the cost of a side: right, then left, then centered above or below, then corners."""
    if down == _DOWN[0]:
        return _ACROSS.index(across) % 2
    return 3 if across == _ACROSS[2] else 4 + _ACROSS.index(across) % 2


def _block(
    rows: tuple[str, ...], size: float, bold: bool
) -> tuple[float, float, list[tuple[float, float, float]]]:
    """Return width and height of rows of text, and the extent of each row."""
    extents = [text_extent(row, size, bold) for row in rows]
    leading = size * LINE_HEIGHT * (len(rows) - 1)
    return max(w for w, _, _ in extents), extents[0][1] + leading + extents[-1][2], extents


def _block_rect(
    rows: tuple[str, ...], anchor: Point, part: Point, angle: int, style: MapStyle
) -> Rect:
    """Return the text block, rotated about the part of it that is placed on the anchor."""
    width, height, _ = _block(rows, style.font_size, style.bold_labels)
    cos, sin = _TURNS[angle]
    x, y = (0.5 - part[0]) * width, (0.5 - part[1]) * height
    middle = anchor[0] + x * cos - y * sin, anchor[1] + x * sin + y * cos
    return Rect(*middle, cos, sin, width / 2, height / 2)


def _row_splits(name: str) -> list[tuple[str, ...]]:
    """Return the name in one row, in two balanced rows and, for three words, one word per row."""
    words = name.split(" ")
    if len(words) == 1 or len(name) < _SHORTEST_IN_ROWS:
        return [(name,)]
    splits = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    two = min(splits, key=lambda rows: max(len(row) for row in rows))
    return [(name,), two, *([tuple(words)] if len(words) == 3 else [])]


def _placed_at(position: LabelPosition, center: Point) -> LabelCandidate:
    rect = position.rect.moved(*center)
    return LabelCandidate(position, rect, rect.box())


def _is_clear(candidate: LabelCandidate, number: int, obstacle_map: ObstacleMap) -> bool:
    """Return whether a candidate overlaps nothing; positions always avoid their own symbol."""
    return not any(
        obstacle_map.obstacles[i][0] != number
        and overlap(candidate.rect, obstacle_map.obstacles[i][1])
        for i in obstacle_map.obstacle_index.near(candidate.box)
    )


def _is_nearest(candidate: LabelCandidate, number: int, obstacle_map: ObstacleMap) -> bool:
    """Return whether a candidate is clearly nearer to its own stop than to any other."""
    own = max(distance(candidate.rect, obstacle_map.symbols[number].center) * _NEAREST_RATIO, 1.0)
    left, top, right, bottom = candidate.box
    around = (left - own, top - own, right + own, bottom + own)
    return all(
        distance(candidate.rect, point) > own
        for other in obstacle_map.symbol_index.near(around)
        if other != number
        for point in obstacle_map.symbols[other].points
    )
