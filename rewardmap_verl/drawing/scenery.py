"""Scenery below the network: fare zones, water and a search grid.

Scenery is paler than any line, and its words overlap nothing. It says nothing about lines and
stops, so it changes no answer and only makes a map harder to read.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.geometry import BoxIndex, Rect, overlap, union, upright
from rewardmap_verl.drawing.map_words import MapWords, words_of
from rewardmap_verl.drawing.scene import Area, Box, Point, Shape, Stroke, Text
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.transit.placement import PlacedNetwork

_ZONES = ("#f3efe6", "#faf8f3", "#f3efe6")
_WATER = "#d3e8f6"
_WATER_INK = "#5f9cc6"
_PALE_INK = "#968d7a"
_RULE = "#e1e4e8"


def draw_scenery(
    placed: PlacedNetwork, frame: Box, solids: Sequence[Rect], style: MapStyle
) -> tuple[list[Shape], list[Rect]]:
    """Draw the scenery of a map whose network fills ``frame``; depends on its city alone.

    Returns:
        The shapes, to be painted before the network, and the boxes of the words among them.
    """
    rng = random.Random(f"{placed.network.city}/scenery")
    words = words_of(placed.language)
    free = _Free(solids, frame, style)
    painters = {"zones": _zones, "water": _river, "grid": _grid}
    shapes: list[Shape] = []
    for kind, painter in painters.items():
        if kind in style.scenery:
            shapes += painter(rng, frame, free, style, words)
    texts = [shape for shape in shapes if isinstance(shape, Text)]
    return [shape for shape in shapes if not isinstance(shape, Text)] + texts, free.words


class _Free:
    """Finds room for words among everything that is already placed."""

    def __init__(self, solids: Sequence[Rect], frame: Box, style: MapStyle) -> None:
        spare = style.margin * 0.6
        self.limits = (frame[0] - spare, frame[1] - spare, frame[2] + spare, frame[3] + spare)
        self.solids = list(solids)
        self.near = BoxIndex(style.font_size * 4)
        self.words: list[Rect] = []
        for number, solid in enumerate(self.solids):
            self.near.add(number, solid.box())

    def put(
        self, text: str, centers: Iterator[Point] | Sequence[Point], size: float, ink: str
    ) -> list[Shape]:
        """Return the text at the first center where it overlaps nothing; empty if there is none."""
        width, above, below = text_extent(text, size, False)
        pad = size / 2
        for x, y in centers:
            left, top = x - width / 2, y - above / 2
            box = (left - pad, top - pad, left + width + pad, top + above + below + pad)
            rect = upright(box)
            if union([box, self.limits]) != self.limits:
                continue
            if not any(overlap(rect, self.solids[i]) for i in self.near.near(box)):
                self.near.add(len(self.solids), box)
                self.solids.append(rect)
                self.words.append(rect)
                return [Text((left, top + above), text, size, ink, width)]
        return []


def _zones(
    rng: random.Random, frame: Box, free: _Free, style: MapStyle, words: MapWords
) -> list[Shape]:
    """Return octagons around the center, the outermost first."""
    left, top, right, bottom = frame
    middle = ((left + right) / 2, (top + bottom) / 2)
    shapes: list[Shape] = []
    texts: list[Shape] = []
    for number in range(len(_ZONES), 0, -1):
        share = number / len(_ZONES) * (0.98 + rng.randrange(10) / 100)
        wide, high = (right - left) / 2 * share, (bottom - top) / 2 * share
        octagon = _octagon(middle, wide, high, min(wide, high) * 0.55)
        shapes.append(Area(octagon, _ZONES[number - 1]))
        name = f"{words.zone} {number}"
        texts += free.put(name, _inside(octagon), style.font_size * 1.2, _PALE_INK)
    return shapes + texts


def _octagon(middle: Point, wide: float, high: float, cut: float) -> tuple[Point, ...]:
    x, y = middle
    return (
        (x - wide + cut, y - high),
        (x + wide - cut, y - high),
        (x + wide, y - high + cut),
        (x + wide, y + high - cut),
        (x + wide - cut, y + high),
        (x - wide + cut, y + high),
        (x - wide, y + high - cut),
        (x - wide, y - high + cut),
    )


def _inside(octagon: tuple[Point, ...]) -> Iterator[Point]:
    """Yield points just inside the edge of an octagon, clockwise from the top."""
    mx = sum(x for x, _ in octagon) / 8
    my = sum(y for _, y in octagon) / 8
    for step in range(1, 4):
        for i in range(8):
            (ax, ay), (bx, by) = octagon[i], octagon[(i + 1) % 8]
            for part in (0.5, 0.25, 0.75):
                x, y = ax + (bx - ax) * part, ay + (by - ay) * part
                pull = 0.06 * step
                yield x + (mx - x) * pull, y + (my - y) * pull


def _river(
    rng: random.Random, frame: Box, free: _Free, style: MapStyle, words: MapWords
) -> list[Shape]:
    """Return a wide pale band from the left to the right of the map, octilinear like the lines."""
    left, top, right, bottom = frame
    width = style.line_width * rng.choice((3.5, 4.5, 5.5))
    reach, step = style.margin * 2, (right - left) / 6
    y = top + (bottom - top) * rng.randint(25, 75) / 100
    points = [(left - reach, y), (left + step / 2, y)]
    while points[-1][0] < right + reach:
        x, y = points[-1]
        fall = rng.choice((-1, 1)) * min(step / 2, (bottom - top) / 6)
        if not top + width < y + fall < bottom - width:
            fall = -fall
        points += [(x + abs(fall), y + fall), (x + abs(fall) + step, y + fall)]
    name = words.river.format(rng.choice(words.rivers))
    centers = [
        (a[0] + (b[0] - a[0]) * part / 10, a[1])
        for a, b in pairwise(points)
        if a[1] == b[1]
        for part in (5, 3, 7, 2, 8)
        if left < a[0] + (b[0] - a[0]) * part / 10 < right
    ]
    band = Stroke(tuple(points), width, _WATER)
    return [band, *free.put(name, centers, min(style.font_size * 1.3, width * 0.6), _WATER_INK)]


def _grid(
    rng: random.Random, frame: Box, free: _Free, style: MapStyle, words: MapWords
) -> list[Shape]:
    """Return thin rules, with letters along the top and numbers along the left side."""
    left, top, right, bottom = frame
    reach = style.margin * 0.35
    columns = max(2, round((right - left) / (style.font_size * 22)))
    rows = max(2, round((bottom - top) / (style.font_size * 22)))
    wide, high = (right - left) / columns, (bottom - top) / rows
    shapes: list[Shape] = []
    for i in range(1, columns):
        x = left + i * wide
        shapes.append(Stroke(((x, top - reach), (x, bottom + reach)), 2.0, _RULE))
    for i in range(1, rows):
        y = top + i * high
        shapes.append(Stroke(((left - reach, y), (right + reach, y)), 2.0, _RULE))
    size = style.font_size
    for i in range(columns):
        middle = (left + (i + 0.5) * wide, top - style.margin * 0.45)
        shapes += free.put(chr(ord("A") + i % 26), [middle], size, _PALE_INK)
    for i in range(rows):
        middle = (left - style.margin * 0.45, top + (i + 0.5) * high)
        shapes += free.put(str(i + 1), [middle], size, _PALE_INK)
    return shapes
