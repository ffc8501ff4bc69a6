"""The color of every line: its own if it is visible, an unused one otherwise."""

from __future__ import annotations

from itertools import count

from PIL import ImageColor

from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.synthesis.palette import PALETTE

_TOO_LIGHT = 232
_DARKER = 0.62


def line_colors(network: Network) -> tuple[str, ...]:
    """Return a color as ``#rrggbb`` for each line.

    Lines without a color, or with one that is invisible on white, get a color that no other line
    has. Two lines that share a color in the source keep it; their badges tell them apart.
    """
    own = [_visible(line.color) for line in network.lines]
    free = (color for color in map(_spare, count()) if color not in set(own))
    return tuple(color or next(free) for color in own)


def luma(color: str) -> float:
    """Return the brightness of a color, 0 to 255 (ITU-R BT.601)."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    return (299 * red + 587 * green + 114 * blue) / 1000


def _visible(color: str | None) -> str | None:
    return color if color and luma(color) <= _TOO_LIGHT else None


def _spare(number: int) -> str:
    """Return a color of the palette; after its end, the palette in ever darker shades."""
    shade = _DARKER ** (number // len(PALETTE))
    red, green, blue = ImageColor.getrgb(PALETTE[number % len(PALETTE)][1])[:3]
    return f"#{round(red * shade):02x}{round(green * shade):02x}{round(blue * shade):02x}"
