"""The legend: the color of each line, and the meaning of the two stop symbols."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rewardmap_verl.drawing.fonts import text_extent
from rewardmap_verl.drawing.map_words import MapWords
from rewardmap_verl.drawing.scene import Area, Box, Disc, Shape, Stroke, Text, move
from rewardmap_verl.drawing.style import MapStyle
from rewardmap_verl.drawing.walking_links import dots


@dataclass(frozen=True, slots=True)
class Legend:
    """A framed legend with its top left corner at the origin."""

    shapes: tuple[Shape, ...]
    entries: tuple[tuple[int, Box], ...]
    """Index of the line and box of each entry that explains a line."""
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry with its top left corner at the origin; ``line`` is None for a symbol."""

    line: int | None
    shapes: tuple[Shape, ...]
    width: float
    height: float


def make_legend(
    lines: Sequence[tuple[str, str]],
    style: MapStyle,
    frame: Box,
    words: MapWords,
    walks: bool = False,
) -> Legend:
    """Explain lines and symbols.

    Args:
        lines: (name, color) of each line; line 10 comes after line 9.
        style: The style of the map.
        frame: The bounding box of the map.
        words: The meanings of the symbols.
        walks: Whether the map has walking links.
    """
    numbers = sorted(range(len(lines)), key=lambda i: natural_key(lines[i][0]))
    entries = [_line_entry(i, *lines[i], style) for i in numbers]
    for meaning, radius in (
        (words.stop, style.stop_radius),
        (words.interchange, style.interchange_radius),
    ):
        entries.append(_entry(None, _dot(style, radius), meaning, style))
    if walks:
        half = 0.8 * style.legend_font_size
        row = tuple(dots((-half, 0.0), (half, 0.0), style))
        entries.append(_entry(None, row, words.walk, style))
    return _arrange(entries, style, frame)


def natural_key(name: str) -> list[tuple[str, int]]:
    """Return the sort key under which numbers in names are compared as numbers."""
    return [
        (text.casefold(), int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d{0,9})", name)
    ]


def _dot(style: MapStyle, radius: float) -> tuple[Shape, ...]:
    inner = max(radius - style.ring_width, radius / 3)
    return Disc((0.0, 0.0), radius, style.ink), Disc((0.0, 0.0), inner, style.paper)


def _arrange(entries: list[_Entry], style: MapStyle, frame: Box) -> Legend:
    """Arrange entries in columns: below the map as wide as it, beside the map as high as it."""
    gap = style.legend_font_size
    wide = max(entry.width for entry in entries) + gap
    high = max(entry.height for entry in entries) + 0.55 * gap
    pad = 0.8 * gap
    if style.legend_place == "right":
        rows = max(1, min(len(entries), int((frame[3] - frame[1] - 2 * pad) // high)))
    else:
        columns = max(1, int((frame[2] - frame[0] - 2 * pad + gap) // wide))
        rows = -(-len(entries) // columns)
    columns = -(-len(entries) // rows)
    width, height = columns * wide - gap + 2 * pad, rows * high - 0.55 * gap + 2 * pad
    shapes: list[Shape] = [*_frame(width, height, style)]
    boxes = []
    for i, entry in enumerate(entries):
        x, y = pad + (i // rows) * wide, pad + (i % rows) * high
        shapes += [move(shape, x, y) for shape in entry.shapes]
        if entry.line is not None:
            boxes.append((entry.line, (x, y, x + entry.width, y + entry.height)))
    return Legend(tuple(shapes), tuple(boxes), width, height)


def _frame(width: float, height: float, style: MapStyle) -> tuple[Shape, ...]:
    """Return a thin frame filled with the background color."""
    corners = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return Area(corners, style.background), Stroke((*corners, corners[0]), 2.0, "#b9c0c8")


def _line_entry(number: int, name: str, color: str, style: MapStyle) -> _Entry:
    swatch = (Stroke(((0.0, 0.0), (style.legend_font_size * 1.6, 0.0)), style.line_width, color),)
    return _entry(number, swatch, name, style)


def _entry(line: int | None, symbol: tuple[Shape, ...], name: str, style: MapStyle) -> _Entry:
    """Return a symbol drawn around the origin (a swatch extends to the right), then its meaning."""
    size = style.legend_font_size
    width, above, _ = text_extent(name, size, False)
    height = max(2 * style.interchange_radius, 1.2 * size)
    middle = height / 2
    start = style.line_width / 2
    shift = start if line is not None else start + size * 0.8
    moved = tuple(move(shape, shift, middle) for shape in symbol)
    left = style.line_width + size * 2.1
    text = Text((left, middle + above / 2), name, size, style.ink, width)
    return _Entry(line, (*moved, text), left + width, height)
