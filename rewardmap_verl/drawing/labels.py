"""Find a place for every stop's name: clear of tracks, symbols and names, nearest to its stop.

Point-feature labelling: each name has some dozens of candidate places (eight directions, set
straight, in two rows, or at 45 degrees). Places that hit something fixed are dropped; a
min-conflicts search then chooses one place each. The caller enlarges the map when names are left
over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from rewardmap_verl.drawing.fonts import LINE_HEIGHT, text_extent
from rewardmap_verl.drawing.geometry import (
    Neighbourhood,
    Quad,
    bounds,
    distance,
    overlap,
)
from rewardmap_verl.drawing.scene import Box, Point, Text
from rewardmap_verl.drawing.style import MapStyle

Offset = tuple[float, float, float]

_HALF = 0.5**0.5
_TURNS = {0: (1.0, 0.0), -45: (_HALF, -_HALF), 45: (_HALF, _HALF)}
_NEARER = 1.1
"""Any other stop is at least so many times farther from a label than its own."""
_ROUNDS = 60
_ENOUGH = 16
"""Places looked at for one label; the cheapest that are clear."""

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
_FARTHEST = 2.0
"""How many font sizes a label may stand off from the symbol."""

# Direction from the stop, the end of the text that comes nearest to it, the angle.
_ROTATED = (
    ((_HALF, -_HALF), 0.0, -45),
    ((_HALF, _HALF), 0.0, 45),
    ((-_HALF, _HALF), 1.0, -45),
    ((-_HALF, -_HALF), 1.0, 45),
)


@dataclass(frozen=True, slots=True)
class Symbol:
    """What a label belongs to: the points where lines call, and the reach of the drawn symbol."""

    name: str
    centre: Point
    points: tuple[Point, ...]
    radius: float


@dataclass(frozen=True, slots=True)
class Wish:
    """A place that a label would like, relative to the middle of its symbol."""

    cost: int
    kind: int
    """Wishes of one kind look alike beside each other."""
    rows: tuple[str, ...]
    anchor: Point
    part: Point
    """The point of the text block, 0 to 1 across and down, that lies on the anchor."""
    angle: int
    corners: Quad


@dataclass(frozen=True, slots=True)
class Place:
    """A wish put on the map."""

    wish: Wish
    quad: Quad
    box: Box


@dataclass(frozen=True, slots=True)
class Placement:
    """The chosen place of each label, and the labels that stay in conflict."""

    places: tuple[Place, ...]
    crowded: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What labels must keep clear of: obstacles, and the symbols of other stops."""

    symbols: tuple[Symbol, ...]
    obstacles: tuple[tuple[int, Quad], ...]
    """Shapes, each with the number of the symbol that it belongs to or -1."""
    fields: Neighbourhood
    dots: Neighbourhood


def survey(symbols: Sequence[Symbol], obstacles: Sequence[tuple[int, Quad]], cell: float) -> Ground:
    """Make obstacles and symbols easy to look up; ``cell`` is about the size of a label."""
    fields, dots = Neighbourhood(cell), Neighbourhood(cell)
    for number, (_, quad) in enumerate(obstacles):
        fields.add(number, bounds(quad))
    for number, symbol in enumerate(symbols):
        dots.add(number, bounds(symbol.points))
    return Ground(tuple(symbols), tuple(obstacles), fields, dots)


def clear_places(ground: Ground, number: int, style: MapStyle) -> list[Place]:
    """The best places of one label that hit nothing fixed."""
    symbol = ground.symbols[number]
    every = (_put(wish, symbol.centre) for wish in label_wishes(symbol, style))
    free = (
        place
        for place in every
        if _is_clear(place, number, ground) and _is_nearest(place, number, ground)
    )
    return list(islice(free, _ENOUGH))


def choose_places(
    options: Sequence[list[Place]],
    ground: Ground,
    neighbours: Sequence[Sequence[int]],
    style: MapStyle,
) -> Placement:
    """Choose a place for each label among its clear ones, or its first wish where there is none.

    ``neighbours`` are the stops before and after each stop, whose labels look best in the same
    direction.
    """
    blocked = [number for number, places in enumerate(options) if not places]
    filled = [
        places or [_put(label_wishes(symbol, style)[0], symbol.centre)]
        for symbol, places in zip(ground.symbols, options, strict=True)
    ]
    return _choose(filled, blocked, neighbours, style)


def label_wishes(symbol: Symbol, style: MapStyle) -> tuple[Wish, ...]:
    """All places that the label of a symbol might take, the best ones first."""
    (cx, cy), points = symbol.centre, symbol.points
    around = tuple((round(x - cx, 4), round(y - cy, 4)) for x, y in points)
    return _wishes(symbol.name, around, symbol.radius, style)


@lru_cache(maxsize=2048)
def _wishes(
    name: str, around: tuple[Point, ...], radius: float, style: MapStyle
) -> tuple[Wish, ...]:
    """Wishes depend on the symbol alone and not on the size of the map, so they are kept."""
    symbol = Symbol(name, (0.0, 0.0), around, radius)
    found = [
        *_straight_wishes(symbol, style),
        *(_slanted_wishes(symbol, style) if style.rotated_labels else ()),
    ]
    return tuple(sorted(found, key=lambda wish: (wish.cost, wish.kind)))


def set_text(place: Place, centre: Point, style: MapStyle) -> tuple[Text, ...]:
    """The rows of text of a chosen place, for the symbol at ``centre``."""
    wish, size, bold = place.wish, style.font_size, style.bold_labels
    width, height, extents = _block(wish.rows, style)
    cos, sin = _TURNS[wish.angle]
    texts = []
    for i, (row, (w, _, _)) in enumerate(zip(wish.rows, extents, strict=True)):
        x = (width - w) * wish.part[0] - wish.part[0] * width
        y = extents[0][1] + size * LINE_HEIGHT * i - wish.part[1] * height
        origin = (
            centre[0] + wish.anchor[0] + x * cos - y * sin,
            centre[1] + wish.anchor[1] + x * sin + y * cos,
        )
        texts.append(Text(origin, row, size, style.ink, w, bold, wish.angle))
    return tuple(texts)


def _straight_wishes(symbol: Symbol, style: MapStyle) -> Iterator[Wish]:
    """Upright text on all sides, in one row or two."""
    _, _, right, bottom = bounds(symbol.points)
    reach, kind = symbol.radius + style.label_gap, 0
    for rows, extra in zip([(symbol.name,), *_two_rows(symbol.name)], (0, 3), strict=False):
        for across in _ACROSS:
            for down in _DOWN:
                kind += 1
                x = across[1] * (reach + right) + across[2] * style.font_size
                y = down[1] * (reach + bottom) + down[2] * style.font_size
                corners = _corners(rows, (x, y), (across[0], down[0]), 0, style)
                off = min(distance(corners, point) for point in symbol.points) - symbol.radius
                if 0.7 * style.label_gap < off < _FARTHEST * style.font_size:
                    cost = extra + int(8 * off / style.font_size) + _taste(across, down)
                    yield Wish(cost, kind, rows, (x, y), (across[0], down[0]), 0, corners)


def _slanted_wishes(symbol: Symbol, style: MapStyle) -> Iterator[Wish]:
    """One row at 45 degrees that starts or ends at the symbol."""
    for kind, ((dx, dy), end, angle) in enumerate(_ROTATED, start=1000):
        reach = max(x * dx + y * dy for x, y in symbol.points) + symbol.radius + style.label_gap
        anchor, part, rows = (dx * reach, dy * reach), (end, 0.5), (symbol.name,)
        corners = _corners(rows, anchor, part, angle, style)
        yield Wish(9, kind, rows, anchor, part, angle, corners)


def _taste(across: Offset, down: Offset) -> int:
    """Right of the stop is best, then left, then above or below its middle, then askew."""
    if down == _DOWN[0]:
        return _ACROSS.index(across) % 2
    return 3 if across == _ACROSS[2] else 4 + _ACROSS.index(across) % 2


def _block(
    rows: tuple[str, ...], style: MapStyle
) -> tuple[float, float, list[tuple[float, float, float]]]:
    """Width and height of rows of text, and the extent of each row."""
    extents = [text_extent(row, style.font_size, style.bold_labels) for row in rows]
    leading = style.font_size * LINE_HEIGHT * (len(rows) - 1)
    return max(w for w, _, _ in extents), extents[0][1] + leading + extents[-1][2], extents


def _corners(
    rows: tuple[str, ...], anchor: Point, part: Point, angle: int, style: MapStyle
) -> Quad:
    """The block of text, turned about the part of it that lies on the anchor."""
    width, height, _ = _block(rows, style)
    cos, sin = _TURNS[angle]
    left, top = -part[0] * width, -part[1] * height
    a, b, c, d = (
        (anchor[0] + x * cos - y * sin, anchor[1] + x * sin + y * cos)
        for x, y in (
            (left, top),
            (left + width, top),
            (left + width, top + height),
            (left, top + height),
        )
    )
    return a, b, c, d


def _put(wish: Wish, centre: Point) -> Place:
    x, y = centre
    a, b, c, d = ((px + x, py + y) for px, py in wish.corners)
    return Place(wish, (a, b, c, d), bounds((a, b, c, d)))


def _two_rows(name: str) -> list[tuple[str, str]]:
    """The most even split of a name at a space."""
    spaces = [i for i, char in enumerate(name) if char == " "]
    if not spaces or len(name) < 9:
        return []
    middle = min(spaces, key=lambda i: (abs(2 * i + 1 - len(name)), i))
    return [(name[:middle], name[middle + 1 :])]


def _is_clear(place: Place, number: int, ground: Ground) -> bool:
    """Whether the place hits nothing; a wish keeps clear of its own symbol by itself."""
    return not any(
        ground.obstacles[i][0] != number and overlap(place.quad, ground.obstacles[i][1])
        for i in ground.fields.near(place.box)
    )


def _is_nearest(place: Place, number: int, ground: Ground) -> bool:
    own = max(distance(place.quad, ground.symbols[number].centre) * _NEARER, 1.0)
    left, top, right, bottom = place.box
    around = (left - own, top - own, right + own, bottom + own)
    return all(
        distance(place.quad, point) > own
        for other in ground.dots.near(around)
        if other != number
        for point in ground.symbols[other].points
    )


def _choose(
    options: list[list[Place]],
    blocked: list[int],
    neighbours: Sequence[Sequence[int]],
    style: MapStyle,
) -> Placement:
    """Min-conflicts: start with the cheapest places, then move whoever gains by moving."""
    clashes = _clashes(options, style)
    chosen = [min(range(len(places)), key=lambda i: places[i].wish.cost) for places in options]

    def price(label: int, option: int) -> int:
        hits = sum(chosen[other] == there for other, there in clashes.get((label, option), ()))
        kind = options[label][option].wish.kind
        alike = sum(options[n][chosen[n]].wish.kind == kind for n in neighbours[label])
        return 1000 * hits + 4 * options[label][option].wish.cost - 3 * alike

    for _ in range(_ROUNDS):
        moved = False
        for label in range(len(options)):
            best = min(range(len(options[label])), key=lambda i: (price(label, i), i))
            if price(label, best) < price(label, chosen[label]):
                chosen[label] = best
                moved = True
        if not moved:
            break
    crowded = set(blocked)
    crowded |= {n for n in range(len(options)) if price(n, chosen[n]) >= 900}
    places = tuple(options[n][chosen[n]] for n in range(len(options)))
    return Placement(places, tuple(sorted(crowded)))


def _clashes(
    options: list[list[Place]], style: MapStyle
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """For each (label, option), the options of other labels that it would overlap."""
    flat = [(label, i) for label, places in enumerate(options) for i in range(len(places))]
    near = Neighbourhood(style.unit)
    side, pad = style.font_size / 3, style.label_gap / 2  # names in a row must not read as one
    for number, (label, i) in enumerate(flat):
        left, top, right, bottom = options[label][i].box
        near.add(number, (left - side, top - pad, right + side, bottom + pad))
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for number, (label, i) in enumerate(flat):
        mine = options[label][i]
        for other in near.near(near.boxes[number]):
            whose, j = flat[other]
            if whose <= label:
                continue
            theirs = options[whose][j]
            upright = mine.wish.angle == theirs.wish.angle == 0
            if upright or overlap(mine.quad, theirs.quad):
                found.setdefault((label, i), []).append((whose, j))
                found.setdefault((whose, j), []).append((label, i))
    return found
