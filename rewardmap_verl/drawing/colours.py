"""The colour of every line: its own where it has one that can be seen, a free one otherwise."""

from __future__ import annotations

from itertools import count

from PIL import ImageColor

from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.synthesis.palette import PALETTE

_TOO_LIGHT = 232
_DARKER = 0.62


def line_colours(network: Network) -> tuple[str, ...]:
    """A colour as ``#rrggbb`` for each line.

    Lines without a colour, or with one that is lost on white paper, get one that no other line has.
    Two lines that share a colour in the source keep it; their badges tell them apart.
    """
    own = [_visible(line.color) for line in network.lines]
    free = (colour for colour in map(_spare, count()) if colour not in set(own))
    return tuple(colour or next(free) for colour in own)


def luma(colour: str) -> float:
    """How bright a colour looks, 0 to 255 (ITU-R BT.601)."""
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return (299 * red + 587 * green + 114 * blue) / 1000


def _visible(colour: str | None) -> str | None:
    return colour if colour and luma(colour) <= _TOO_LIGHT else None


def _spare(number: int) -> str:
    """The palette, then the same in darker and darker shades."""
    shade = _DARKER ** (number // len(PALETTE))
    red, green, blue = ImageColor.getrgb(PALETTE[number % len(PALETTE)][1])[:3]
    return f"#{round(red * shade):02x}{round(green * shade):02x}{round(blue * shade):02x}"
