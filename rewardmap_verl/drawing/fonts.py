"""The fonts of the maps, and how much room text takes.

DejaVu Sans comes with matplotlib, so that a map looks the same wherever it is drawn; it covers
Latin, Greek and Cyrillic.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from rewardmap_verl.errors import ConfigError

LINE_HEIGHT = 1.15
"""Distance of baselines, as a multiple of the font size."""
FAMILY = "DejaVu Sans"


@lru_cache(maxsize=64)
def load_font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    """The map font at a size in pixels.

    The basic layout engine is asked for because the other one depends on libraries of the machine.
    """
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(_folder() / name, size, layout_engine=ImageFont.Layout.BASIC)


def _folder() -> Path:
    """Where matplotlib keeps its fonts, found without the seconds that importing it takes."""
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("fonts", "matplotlib", "not installed", "Install matplotlib.")
    return Path(next(iter(spec.submodule_search_locations))) / "mpl-data" / "fonts" / "ttf"


@lru_cache(maxsize=8192)
def text_extent(text: str, size: float, bold: bool) -> tuple[float, float, float]:
    """Width, height above the baseline and depth below it, in pixels.

    Never less high than a capital letter, so that labels of one size sit on one line.
    """
    font = load_font(size, bold)
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    cap = font.getbbox("H", anchor="ls")[1]
    return max(right, font.getlength(text)) - min(left, 0), -min(top, cap), max(bottom, 0)
