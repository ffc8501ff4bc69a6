"""The color of every line: the one of the source if it can be told apart, or a substitute.

A source may give two lines one color, colors that differ too little, a color that is lost on white,
or one that contradicts the name of the line. Differences are CIEDE2000, over all lines of the map.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Final

from PIL import ImageColor

from rewardmap_verl.drawing.color_difference import color_difference, lab_of
from rewardmap_verl.drawing.color_names import color_category, named_categories
from rewardmap_verl.transit.network import Line, Network
from rewardmap_verl.transit.synthesis.palette import PALETTE

__all__ = ["SMALLEST_DIFFERENCE", "line_colors", "luma"]

SMALLEST_DIFFERENCE: Final = 16.0
"""Two colors of a source that differ less are not both used; those of ``PALETTE`` differ more."""
_PAPER_DIFFERENCE: Final = 20.0
"""Smallest difference of a line from white paper."""
_SUBSTITUTE_DIFFERENCES: Final = (20.0, 16.0, 12.0, 8.0, 0.0)
"""Differences of a substitute from all other colors: the first that some color reaches is used."""
_PAPER: Final = "#ffffff"
_COLORLESS: Final = ("gray", "black")
_CLEAR_DIFFERENCE: Final = 28.0
_LEAST_LIGHTNESS: Final = 25.0
"""Substitutes beyond the palette are neither pale nor nearly black if that leaves enough colors."""
_DIRECTION: Final = re.compile(
    r"(?:\s*[-_/(\[]\s*(?:[nsew]b?|north|south|east|west|inbound|outbound)"
    r"|\s+(?:(?:north|south|east|west|in|out)bound))[)\]]?$",
    re.IGNORECASE,
)

Family = tuple[str, str | None]
"""Name and color of a line, or of both directions of a service without the direction."""


def line_colors(network: Network) -> tuple[str, ...]:
    """Return a color as ``#rrggbb`` for each line.

    Lines keep the color of the source if it is visible, fits their name and differs from the colors
    of all other lines. Of two lines with one color, the one whose name says the color keeps it, or
    else the first. The others get the most similar color that differs enough from all. The two
    directions of one service ("Red-N" and "Red-S") share a color.
    """
    family_of = [_family(line, network.lines) for line in network.lines]
    families = dict.fromkeys(family_of)
    chosen: dict[Family, str] = {}
    for family in sorted(families, key=lambda family: not _says_its_color(family)):
        color = _usable(family)
        if color and _gap(color, chosen.values()) >= SMALLEST_DIFFERENCE:
            chosen[family] = color
    for family in sorted(families, key=lambda family: not named_categories(family[0])):
        if family not in chosen:
            chosen[family] = _substitute(family, chosen)
    return tuple(chosen[family] for family in family_of)


def luma(color: str) -> float:
    """Return the brightness of a color, 0 to 255 (ITU-R BT.601)."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    return (299 * red + 587 * green + 114 * blue) / 1000


def _family(line: Line, lines: Sequence[Line]) -> Family:
    """Return what a line has in common with the other direction of its service, if there is one."""
    stem, color = _DIRECTION.sub("", line.name), (line.color or "").lower()
    twins = [
        other
        for other in lines
        if other is not line
        and (_DIRECTION.sub("", other.name), (other.color or "").lower()) == (stem, color)
        and 2 * len(set(other.listed) & set(line.listed)) >= len(set(line.listed))
    ]
    return (stem if twins and stem else line.name), color or None


def _says_its_color(family: Family) -> bool:
    name, color = family
    return bool(color) and color_category(str(color)) in named_categories(name)


def _usable(family: Family) -> str | None:
    """Return the color of the source if it is visible and does not contradict the name."""
    name, color = family
    return color if color and _is_visible(color) and _fits(color, name) else None


@lru_cache(maxsize=4096)
def _is_visible(color: str) -> bool:
    return color_difference(lab_of(color), lab_of(_PAPER)) >= _PAPER_DIFFERENCE


def _fits(color: str, name: str) -> bool:
    named = named_categories(name)
    return not named or color_category(color) in named


def _gap(color: str, others: Iterable[str]) -> float:
    """Return the difference from the most similar of the other colors."""
    lab = lab_of(color)
    return min((color_difference(lab, lab_of(other)) for other in others), default=float("inf"))


def _substitute(family: Family, chosen: Mapping[Family, str]) -> str:
    """Return the most fitting color that differs enough from all that are chosen."""
    name, color = family
    taken = list(chosen.values())
    fitting = [candidate for candidate in _candidates() if _fits(candidate, name)]
    gaps = {candidate: _gap(candidate, taken) for candidate in fitting or _candidates()}
    rank = _likeness(color if color and _fits(color, name) else None, gaps)
    for least in _SUBSTITUTE_DIFFERENCES:
        apart = [candidate for candidate, gap in gaps.items() if gap >= least]
        if apart:
            return min(apart, key=lambda candidate: (not _is_clear(candidate), rank(candidate)))
    raise AssertionError("every difference is at least 0")


def _likeness(color: str | None, candidates: Collection[str]) -> Callable[[str], float]:
    """Return the order of preference: like the color of the source, or the palette first."""
    if color and color_category(color) not in _COLORLESS:
        lab = lab_of(color)
        return lambda candidate: round(color_difference(lab, lab_of(candidate)), 6)
    order = {candidate: number for number, candidate in enumerate(candidates)}
    return lambda candidate: order[candidate]


@lru_cache(maxsize=1)
def _candidates() -> tuple[str, ...]:
    """Return the palette and, beyond it, a regular sample of all colors that are visible."""
    return tuple(dict.fromkeys([*(color for _, color in PALETTE), *_sample()]))


def _sample() -> Iterator[str]:
    for red, green, blue in product(range(0, 256, 51), repeat=3):
        color = f"#{red:02x}{green:02x}{blue:02x}"
        if _is_visible(color):
            yield color


@lru_cache(maxsize=4096)
def _is_clear(color: str) -> bool:
    if color in _candidates()[: len(PALETTE)]:
        return True
    return _gap(color, (_PAPER,)) >= _CLEAR_DIFFERENCE and lab_of(color)[0] >= _LEAST_LIGHTNESS
