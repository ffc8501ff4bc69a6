"""Find a place for every stop's name: clear of tracks, symbols and names, nearest to its stop.

Point-feature labelling: each name has some dozens of candidate places (around the symbol, set
straight, in two rows, or at 45 degrees). Places that hit something fixed are dropped here; one of
the others is chosen for each label in ``place_labels``.
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
"""Any other stop is at least so many times farther from a label than its own."""
_MAX_CANDIDATES = 28
"""Places looked at for one label; the cheapest that are clear."""
_SHORTEST_IN_ROWS = 9
_SMALLER = 0.85
"""Size of the type, as a share, of a name that finds no room otherwise."""

# Where a straight block of text may begin across: which edge of the block (0 left, 1 right, 0.5
# middle) stands how many reaches and font sizes right of the stop. Rows likewise, downwards.
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
"""How many font sizes a label may stand off from the symbol."""

# Direction from the stop, the end of the text that comes nearest to it, the angle.
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
"""How many font sizes farther off slanted text may start."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a label belongs to: the points where lines call, and the reach of the drawn symbol."""

    name: str
    center: Point
    points: tuple[Point, ...]
    radius: float

    def moved(self, dx: float, dy: float) -> Symbol:
        """The same symbol elsewhere."""
        points = tuple((x + dx, y + dy) for x, y in self.points)
        return Symbol(self.name, (self.center[0] + dx, self.center[1] + dy), points, self.radius)


@dataclass(frozen=True, slots=True)
class LabelPosition:
    """A place that a label would like, relative to the middle of its symbol."""

    cost: int
    kind: int
    """Wishes of one kind look alike beside each other."""
    rows: tuple[str, ...]
    anchor: Point
    part: Point
    """The point of the text block, 0 to 1 across and down, that lies on the anchor."""
    angle: int
    size: float
    """Of the type, in pixels."""
    rect: Rect


@dataclass(frozen=True, slots=True)
class LabelCandidate:
    """A wish put on the map."""

    wish: LabelPosition
    rect: Rect
    box: Box


@dataclass(frozen=True, slots=True)
class ObstacleMap:
    """What labels must keep clear of: obstacles, and the symbols of other stops."""

    symbols: tuple[Symbol, ...]
    obstacles: tuple[tuple[int, Rect], ...]
    """Shapes, each with the number of the symbol that it belongs to or -1."""
    fields: BoxIndex
    dots: BoxIndex

    def with_symbol(self, number: int, symbol: Symbol) -> ObstacleMap:
        """The ground with one symbol elsewhere; obstacles stay as they are."""
        symbols = (*self.symbols[:number], symbol, *self.symbols[number + 1 :])
        self.dots.add(number, bounds(symbol.points))
        return ObstacleMap(symbols, self.obstacles, self.fields, self.dots)


def build_obstacle_map(
    symbols: Sequence[Symbol], obstacles: Sequence[tuple[int, Rect]], cell: float
) -> ObstacleMap:
    """Make obstacles and symbols easy to look up; ``cell`` is about the size of a label."""
    fields, dots = BoxIndex(cell), BoxIndex(cell)
    for number, (_, rect) in enumerate(obstacles):
        fields.add(number, rect.box())
    for number, symbol in enumerate(symbols):
        dots.add(number, bounds(symbol.points))
    return ObstacleMap(tuple(symbols), tuple(obstacles), fields, dots)


def fallback_candidate(ground: ObstacleMap, number: int, style: MapStyle) -> LabelCandidate:
    """Where a label goes when it is clear nowhere."""
    symbol = ground.symbols[number]
    return _placed_at(label_positions(symbol, style)[0], symbol.center)


def free_candidates(ground: ObstacleMap, number: int, style: MapStyle) -> list[LabelCandidate]:
    """The best places of one label that hit nothing fixed; in smaller type where that is needed."""
    symbol = ground.symbols[number]
    for size in (style.font_size, _SMALLER * style.font_size):
        look = style.model_copy(update={"font_size": size})
        every = (_placed_at(wish, symbol.center) for wish in label_positions(symbol, look))
        free = (
            place
            for place in every
            if _is_clear(place, number, ground) and _is_nearest(place, number, ground)
        )
        found = list(islice(free, _MAX_CANDIDATES))
        if found:
            return found
    return []


def label_positions(symbol: Symbol, style: MapStyle) -> tuple[LabelPosition, ...]:
    """All places that the label of a symbol might take, the best ones first."""
    (cx, cy), points = symbol.center, symbol.points
    around = tuple((round(x - cx, 4), round(y - cy, 4)) for x, y in points)
    return _cached_positions(symbol.name, around, symbol.radius, style)


@lru_cache(maxsize=2048)
def _cached_positions(
    name: str, around: tuple[Point, ...], radius: float, style: MapStyle
) -> tuple[LabelPosition, ...]:
    """Wishes depend on the symbol alone and not on the size of the map, so they are kept."""
    symbol = Symbol(name, (0.0, 0.0), around, radius)
    found = [
        *_horizontal_positions(symbol, style),
        *(_rotated_positions(symbol, style) if style.rotated_labels else ()),
    ]
    return tuple(sorted(found, key=lambda wish: (wish.cost, wish.kind)))


def label_texts(place: LabelCandidate, center: Point, style: MapStyle) -> tuple[Text, ...]:
    """The rows of text of a chosen place, for the symbol at ``center``."""
    wish, size, bold = place.wish, place.wish.size, style.bold_labels
    width, height, extents = _block(wish.rows, size, bold)
    cos, sin = _TURNS[wish.angle]
    texts = []
    for i, (row, (w, _, _)) in enumerate(zip(wish.rows, extents, strict=True)):
        x = (width - w) * wish.part[0] - wish.part[0] * width
        y = extents[0][1] + size * LINE_HEIGHT * i - wish.part[1] * height
        origin = (
            center[0] + wish.anchor[0] + x * cos - y * sin,
            center[1] + wish.anchor[1] + x * sin + y * cos,
        )
        texts.append(Text(origin, row, size, style.ink, w, bold, wish.angle))
    return tuple(texts)


def _horizontal_positions(symbol: Symbol, style: MapStyle) -> Iterator[LabelPosition]:
    """Upright text on all sides, in one row or two."""
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
                    yield LabelPosition(
                        cost, kind, rows, (x, y), (across[0], down[0]), 0, style.font_size, rect
                    )


def _rotated_positions(symbol: Symbol, style: MapStyle) -> Iterator[LabelPosition]:
    """One row at 45 degrees that starts or ends at the symbol."""
    kind = 1000
    for push in _EXTRA_DISTANCES:
        for (dx, dy), end, angle in _ROTATED:
            kind += 1
            reach = max(x * dx + y * dy for x, y in symbol.points) + symbol.radius
            reach += style.label_gap + push * style.font_size
            anchor, part, rows = (dx * reach, dy * reach), (end, 0.5), (symbol.name,)
            rect = _block_rect(rows, anchor, part, angle, style)
            yield LabelPosition(
                9 + int(8 * push), kind, rows, anchor, part, angle, style.font_size, rect
            )


def _side_cost(across: Offset, down: Offset) -> int:
    """Right of the stop is best, then left, then above or below its middle, then askew."""
    if down == _DOWN[0]:
        return _ACROSS.index(across) % 2
    return 3 if across == _ACROSS[2] else 4 + _ACROSS.index(across) % 2


def _block(
    rows: tuple[str, ...], size: float, bold: bool
) -> tuple[float, float, list[tuple[float, float, float]]]:
    """Width and height of rows of text, and the extent of each row."""
    extents = [text_extent(row, size, bold) for row in rows]
    leading = size * LINE_HEIGHT * (len(rows) - 1)
    return max(w for w, _, _ in extents), extents[0][1] + leading + extents[-1][2], extents


def _block_rect(
    rows: tuple[str, ...], anchor: Point, part: Point, angle: int, style: MapStyle
) -> Rect:
    """The block of text, turned about the part of it that lies on the anchor."""
    width, height, _ = _block(rows, style.font_size, style.bold_labels)
    cos, sin = _TURNS[angle]
    x, y = (0.5 - part[0]) * width, (0.5 - part[1]) * height
    middle = anchor[0] + x * cos - y * sin, anchor[1] + x * sin + y * cos
    return Rect(*middle, cos, sin, width / 2, height / 2)


def _row_splits(name: str) -> list[tuple[str, ...]]:
    """The name in one row, in two even rows, and with every word in a row of its own."""
    words = name.split(" ")
    if len(words) == 1 or len(name) < _SHORTEST_IN_ROWS:
        return [(name,)]
    splits = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    two = min(splits, key=lambda rows: max(len(row) for row in rows))
    return [(name,), two, *([tuple(words)] if len(words) == 3 else [])]


def _placed_at(wish: LabelPosition, center: Point) -> LabelCandidate:
    rect = wish.rect.moved(*center)
    return LabelCandidate(wish, rect, rect.box())


def _is_clear(place: LabelCandidate, number: int, ground: ObstacleMap) -> bool:
    """Whether the place hits nothing; a wish keeps clear of its own symbol by itself."""
    return not any(
        ground.obstacles[i][0] != number and overlap(place.rect, ground.obstacles[i][1])
        for i in ground.fields.near(place.box)
    )


def _is_nearest(place: LabelCandidate, number: int, ground: ObstacleMap) -> bool:
    own = max(distance(place.rect, ground.symbols[number].center) * _NEAREST_RATIO, 1.0)
    left, top, right, bottom = place.box
    around = (left - own, top - own, right + own, bottom + own)
    return all(
        distance(place.rect, point) > own
        for other in ground.dots.near(around)
        if other != number
        for point in ground.symbols[other].points
    )
