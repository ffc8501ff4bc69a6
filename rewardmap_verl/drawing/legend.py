"""The legend: which colour is which line, and what the two stop symbols mean."""

from __future__ import annotations

from dataclasses import dataclass

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.scene import Area, Box, Disc, Shape, Stroke, Text, move
from rewardmap_verl.drawing.style import MapStyle


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry with its top left corner at the origin."""

    line: int | None
    """Number of the line; None for the explanation of a symbol."""
    shapes: tuple[Shape, ...]
    width: float
    height: float


def legend_entries(lines: list[tuple[str, str]], style: MapStyle) -> list[Entry]:
    """An entry for each line, given as (name, colour), and one for each symbol."""
    entries = [_line_entry(i, name, colour, style) for i, (name, colour) in enumerate(lines)]
    plain = dot(style, (0.0, 0.0), style.stop_radius)
    change = dot(style, (0.0, 0.0), style.interchange_radius)
    symbols = (("Stop", plain), ("Interchange", change))
    return entries + [_entry(None, shapes, meaning, style) for meaning, shapes in symbols]


def dot(style: MapStyle, centre: tuple[float, float], radius: float) -> tuple[Shape, ...]:
    """The symbol of a stop: a light disc with a dark rim."""
    inner = max(radius - style.ring_width, radius / 3)
    return Disc(centre, radius, style.ink), Disc(centre, inner, style.paper)


def arrange(
    entries: list[Entry], room: float, style: MapStyle
) -> tuple[list[tuple[Entry, float, float]], float, float]:
    """Entries in as many columns as fit into ``room``; gives places, whole width and height."""
    gap = style.legend_font_size
    wide = max(entry.width for entry in entries) + gap
    high = max(entry.height for entry in entries) + 0.55 * gap
    columns = max(1, min(len(entries), int((room + gap) // wide)))
    rows = -(-len(entries) // columns)
    columns = -(-len(entries) // rows)
    placed = [(e, (i // rows) * wide, (i % rows) * high) for i, e in enumerate(entries)]
    return placed, columns * wide - gap, rows * high - 0.55 * gap


def frame(box: Box, style: MapStyle) -> tuple[Shape, ...]:
    """A thin frame with the background inside."""
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Area(corners, style.background), Stroke((*corners, corners[0]), 2.0, "#b9c0c8")


def _line_entry(number: int, name: str, colour: str, style: MapStyle) -> Entry:
    swatch = (Stroke(((0.0, 0.0), (style.legend_font_size * 1.6, 0.0)), style.line_width, colour),)
    return _entry(number, swatch, name, style)


def _entry(line: int | None, symbol: tuple[Shape, ...], name: str, style: MapStyle) -> Entry:
    """A symbol drawn around the origin (a swatch reaches to the right), then its meaning."""
    size = style.legend_font_size
    width, above, _ = text_extent(name, size, False)
    height = max(2 * style.interchange_radius, 1.2 * size)
    middle = height / 2
    start = style.line_width / 2
    shift = start if line is not None else start + size * 0.8
    moved = tuple(move(shape, shift, middle) for shape in symbol)
    left = style.line_width + size * 2.1
    text = Text((left, middle + above / 2), name, size, style.ink, width)
    return Entry(line, (*moved, text), left + width, height)
