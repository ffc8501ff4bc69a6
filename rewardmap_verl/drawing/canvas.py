"""Compose network, legend, title and scenery on one canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from rewardmap_verl.drawing.badges import badge_shapes
from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.geometry import Rect, band, distance, overlap, union, upright
from rewardmap_verl.drawing.label_candidates import Symbol, label_texts
from rewardmap_verl.drawing.legend import Legend, make_legend
from rewardmap_verl.drawing.map_layout import MapLayout
from rewardmap_verl.drawing.map_words import words_of
from rewardmap_verl.drawing.scene import Area, Box, Disc, Point, Scene, Shape, Stroke, Text, move
from rewardmap_verl.drawing.scenery import draw_scenery
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.drawing.walking_links import dots


@dataclass(frozen=True, slots=True)
class Canvas:
    """A complete map, and how far the layout was moved."""

    scene: Scene
    shift: Point
    legend: tuple[tuple[int, Box], ...]
    """Index of the line and box of each legend entry that explains a line."""
    legend_box: Box
    words: tuple[Rect, ...]
    """Boxes of the words in the scenery."""


def compose(plan: MapLayout, style: MapStyle) -> Canvas:
    """Draw the layout; the legend goes into a free corner, otherwise beside or below the map."""
    legend = make_legend(
        [
            (line.name, color)
            for line, color in zip(plan.placed.network.lines, plan.colors, strict=True)
        ],
        style,
        plan.box(),
        words_of(plan.placed.language),
        walks=bool(plan.walks),
    )
    at = _legend_corner(plan, legend, style)
    legend_box = (at[0], at[1], at[0] + legend.width, at[1] + legend.height)
    frame = union([plan.box(), legend_box])
    solids = [*plan.solids(), upright(legend_box)]
    scenery, words = draw_scenery(plan.placed, frame, solids, style)
    shapes = [
        *scenery,
        *_network_shapes(plan, style),
        *(move(shape, *at) for shape in legend.shapes),
    ]
    heading, head, least = _heading(plan.placed.title, style)
    dx, dy = style.margin - frame[0], style.margin + head - frame[1]
    width = max(frame[2] + dx, least) + style.margin
    height = frame[3] + dy + style.margin
    painted = [*(move(shape, dx, dy) for shape in shapes), *heading]
    return Canvas(
        Scene(width, height, style.background, tuple(painted)),
        (dx, dy),
        tuple((line, _moved(box, at[0] + dx, at[1] + dy)) for line, box in legend.entries),
        _moved(legend_box, dx, dy),
        tuple(rect.moved(dx, dy) for rect in words),
    )


def _legend_corner(plan: MapLayout, legend: Legend, style: MapStyle) -> Point:
    """Return the top left of the legend: a corner of the map that is free, or outside the map."""
    left, top, right, bottom = plan.box()
    gap = style.font_size
    corners = [
        (x, y)
        for x in (right - legend.width, left)
        for y in (top, bottom - legend.height)
        if right - left > legend.width and bottom - top > legend.height
    ]
    solids = plan.solids()
    for x, y in corners:
        room = (x - gap, y - gap, x + legend.width + gap, y + legend.height + gap)
        if not any(overlap(upright(room), solid) for solid in solids):
            return x, y
    if style.legend_place == "right":
        return right + style.margin, top
    return left, bottom + style.margin


def _heading(title: str, style: MapStyle) -> tuple[list[Shape], float, float]:
    """Return the title in the top left corner, its height, and the x coordinate where it ends."""
    size = style.title_font_size
    if not title or not size:
        return [], 0.0, 0.0
    width, above, _ = text_extent(title, size, True)
    origin = (style.margin, style.margin + above)
    text = Text(origin, title, size, style.ink, width, bold=True)
    return [text], size * 1.7, style.margin + width


def _network_shapes(plan: MapLayout, style: MapStyle) -> list[Shape]:
    shapes: list[Shape] = []
    for color, paths in zip(plan.colors, plan.lanes.curves, strict=True):
        shapes += [Stroke(path, style.line_width, color) for path in paths]
    for link in plan.walks:
        shapes += dots(link.start, link.end, style)
    for symbol, passing in zip(plan.obstacle_map.symbols, plan.lanes.passes, strict=True):
        shapes += _symbol_shapes(symbol, passing, style)
    for symbol, candidate in zip(plan.obstacle_map.symbols, plan.labels, strict=True):
        shapes += label_texts(candidate, symbol.center, style)
    for badge in plan.badges:
        shapes += badge_shapes(badge, plan.colors[badge.line], style)
    return shapes


def _symbol_shapes(symbol: Symbol, passing: Sequence[Point], style: MapStyle) -> list[Shape]:
    """Return a disc, or a capsule across all lanes if several lines call side by side.

    If a line passes between them without calling, each calling lane gets its own disc, joined by a
    thin link, so that nothing looks like a stop of the passing line.
    """
    pairs = list(combinations(symbol.points, 2))
    reach = symbol.radius + style.line_width / 2
    spans = [band(a, b, 0.0) for a, b in pairs or [(symbol.points[0], symbol.points[0])]]
    apart = any(distance(span, point) < reach for span in spans for point in passing)
    if apart or not pairs:
        radius = style.stop_radius if apart else symbol.radius
        links: list[Shape] = [Stroke(pair, style.ring_width, style.ink) for pair in pairs]
        rims: list[Shape] = [Disc(p, radius, style.ink) for p in symbol.points]
        inner = max(radius - style.ring_width, radius / 3)
        return [*links, *rims, *(Disc(p, inner, style.paper) for p in symbol.points)]
    inner = max(symbol.radius - style.ring_width, symbol.radius / 3)
    capsule: list[Shape] = [Stroke(pair, 2 * symbol.radius, style.ink) for pair in pairs]
    capsule += [Stroke(pair, 2 * inner, style.paper) for pair in pairs]
    hull = Area(_around(symbol.points), style.paper)
    return [*capsule, *([hull] if len(symbol.points) > 2 else [])]


def _around(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return the convex hull (monotone chain)."""
    ordered = sorted(points)
    halves = []
    for run in (ordered, ordered[::-1]):
        half: list[Point] = []
        for x, y in run:
            while len(half) > 1:
                (ax, ay), (bx, by) = half[-2], half[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                half.pop()
            half.append((x, y))
        halves.append(half[:-1])
    return tuple(halves[0] + halves[1])


def _moved(box: Box, dx: float, dy: float) -> Box:
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy
