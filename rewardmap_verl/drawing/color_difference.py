"""How different two colors look: CIEDE2000 (Sharma, Wu and Dalal, 2005).

1 is a just noticeable difference of two patches side by side. Two lines on a map are far apart and
need many times that.
"""

from __future__ import annotations

import math
from functools import lru_cache

from PIL import ImageColor

__all__ = ["Lab", "color_difference", "lab_of"]

Lab = tuple[float, float, float]
"""CIELAB coordinates with the D65 white point: lightness 0 to 100, green to red, blue to yellow."""

_WHITE = (0.95047, 1.0, 1.08883)
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


@lru_cache(maxsize=4096)
def lab_of(color: str) -> Lab:
    """Return the CIELAB coordinates of a color such as ``#rrggbb``."""
    linear = [_linear(channel / 255) for channel in ImageColor.getrgb(color)[:3]]
    x, y, z = (
        _compress(sum(weight * value for weight, value in zip(row, linear, strict=True)) / white)
        for row, white in zip(_TO_XYZ, _WHITE, strict=True)
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _linear(value: float) -> float:
    """Undo the transfer function of sRGB."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _compress(value: float) -> float:
    return float(value ** (1 / 3)) if value > 216 / 24389 else (24389 / 27 * value + 16) / 116


def color_difference(one: Lab, other: Lab) -> float:
    """Return the CIEDE2000 difference of two colors."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    chroma = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * math.sqrt(_saturation(chroma))
    c1, c2 = math.hypot(stretch * a1, b1), math.hypot(stretch * a2, b2)
    h1 = math.degrees(math.atan2(b1, stretch * a1)) % 360
    h2 = math.degrees(math.atan2(b2, stretch * a2)) % 360
    turn = ((h2 - h1 + 180) % 360 - 180) if c1 * c2 else 0.0
    hue = (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    mean = (c1 + c2) / 2
    light = (l2 - l1) / _lightness_weight((l1 + l2) / 2)
    strong = (c2 - c1) / (1 + 0.045 * mean)
    tone = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2)) / _hue_weight(mean, hue)
    rotation = -2 * math.sqrt(_saturation(mean)) * _blue_rotation(hue)
    return math.sqrt(max(0.0, light**2 + strong**2 + tone**2 + rotation * strong * tone))


def _saturation(chroma: float) -> float:
    return chroma**7 / (chroma**7 + 25.0**7)


def _lightness_weight(lightness: float) -> float:
    offset = (lightness - 50) ** 2
    return 1 + 0.015 * offset / math.sqrt(20 + offset)


def _hue_weight(chroma: float, hue: float) -> float:
    t = (
        1
        - 0.17 * math.cos(math.radians(hue - 30))
        + 0.24 * math.cos(math.radians(2 * hue))
        + 0.32 * math.cos(math.radians(3 * hue + 6))
        - 0.20 * math.cos(math.radians(4 * hue - 63))
    )
    return 1 + 0.015 * chroma * t


def _blue_rotation(hue: float) -> float:
    return math.sin(math.radians(60 * math.exp(-(((hue - 275) / 25) ** 2))))
