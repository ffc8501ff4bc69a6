"""Walking links: rows of dots between two stops that are near each other on the map."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import dist

from rewardmap_verl.drawing.geometry import Rect, band, overlap
from rewardmap_verl.drawing.label_candidates import Symbol
from rewardmap_verl.drawing.lanes import Lanes
from rewardmap_verl.drawing.scene import Disc, Point
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.transit.placement import PlacedNetwork

__all__ = ["WalkingLink", "dots", "place_walking_links"]

_LONGEST = 3.0
"""Longest link, in units of the style."""


@dataclass(frozen=True, slots=True)
class WalkingLink:
    """A link between two stop symbols."""

    stops: tuple[int, int]
    start: Point
    end: Point

    def rect(self, style: MapStyle) -> Rect:
        """Return the space that the dots take."""
        return band(self.start, self.end, _radius(style))


def place_walking_links(
    placed: PlacedNetwork, lanes: Lanes, symbols: Sequence[Symbol], style: MapStyle
) -> tuple[WalkingLink, ...]:
    """Return the links of a network that are short and cross no track and no other symbol."""
    found: list[WalkingLink] = []
    for a, b in placed.walks:
        link = _between(a, b, symbols, style)
        if 3 * style.line_width < dist(link.start, link.end) < _LONGEST * style.unit and not any(
            overlap(link.rect(style), solid)
            for solid in _in_the_way(link, lanes, symbols, found, style)
        ):
            found.append(link)
    return tuple(found)


def dots(start: Point, end: Point, style: MapStyle) -> Iterator[Disc]:
    """Yield the dots of a link between two points."""
    radius = _radius(style)
    steps = max(1, round(dist(start, end) / (3.2 * radius)))
    for step in range(steps + 1):
        x, y = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
        yield Disc((x, y), radius, style.ink)


def _radius(style: MapStyle) -> float:
    return style.line_width * 0.3


def _between(a: int, b: int, symbols: Sequence[Symbol], style: MapStyle) -> WalkingLink:
    """Return the link between the nearest points of two symbols, a dot off their rims."""
    here, there = min(product(symbols[a].points, symbols[b].points), key=lambda ends: dist(*ends))
    length = dist(here, there) or 1.0
    dx, dy = (there[0] - here[0]) / length, (there[1] - here[1]) / length
    near, far = (symbols[stop].radius + _radius(style) for stop in (a, b))
    start = here[0] + dx * near, here[1] + dy * near
    return WalkingLink((a, b), start, (there[0] - dx * far, there[1] - dy * far))


def _in_the_way(
    link: WalkingLink,
    lanes: Lanes,
    symbols: Sequence[Symbol],
    others: Sequence[WalkingLink],
    style: MapStyle,
) -> Iterator[Rect]:
    """Yield what a link must not touch."""
    yield from (other.rect(style) for other in others)
    for a, b, width in lanes.tracks:
        yield band(a, b, width / 2 - 1)
    for number, symbol in enumerate(symbols):
        if number not in link.stops:
            yield from (band(point, point, symbol.radius * 1.5) for point in symbol.points)
