"""The fonts of the maps, and text extents.

DejaVu Sans is part of matplotlib, so a map looks the same on every machine; it covers Latin, Greek
and Cyrillic. Chinese, Japanese and Korean names need Noto Sans SC from the package
justmytype-intl-cjk (SIL Open Font License), which is large and therefore optional.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

from rewardmap_verl.errors import ConfigError

LINE_HEIGHT = 1.15
"""Distance between baselines, as a multiple of the font size."""
FAMILIES = "DejaVu Sans, Noto Sans SC, sans-serif"
"""Font families in SVG files, which use the fonts of the viewer."""
_FIRST_WIDE = "\u2e80"


@lru_cache(maxsize=128)
def load_font(size: float, bold: bool = False, wide: bool = False) -> ImageFont.FreeTypeFont:
    """Return the map font at a size in pixels; ``wide`` selects the one with Chinese characters.

    The basic layout engine does not depend on libraries of the machine.

    Raises:
        ConfigError: The package with the font is not installed.
    """
    if not wide:
        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        path = _package("matplotlib") / "mpl-data" / "fonts" / "ttf" / name
        return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    path = _package("justmytype_intl_cjk") / "fonts" / "ofl" / "notosanssc" / "NotoSansSC[wght].ttf"
    font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([700 if bold else 400])
    return font


def font_for(text: str, size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font that covers a text."""
    return load_font(size, bold, needs_wide_font(text))


def needs_wide_font(text: str) -> bool:
    """Return whether a text has Chinese, Japanese or Korean characters."""
    return any(char >= _FIRST_WIDE for char in text)


@lru_cache(maxsize=8192)
def text_extent(text: str, size: float, bold: bool) -> tuple[float, float, float]:
    """Return width, height above the baseline and depth below it, in pixels.

    The height is at least that of a capital letter, so that labels of one size share a baseline.
    """
    font = font_for(text, size, bold)
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    cap = font.getbbox("H", anchor="ls")[1]
    return max(right, font.getlength(text)) - min(left, 0), -min(top, cap), max(bottom, 0)


def _package(name: str) -> Path:
    """Return the folder of an installed package without importing it.

    Raises:
        ConfigError: The package is not installed.
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        package = name.replace("_", "-")
        subject = "Chinese, Japanese and Korean names need" if "cjk" in name else "Maps need"
        hint = f"{subject} its font; run: pip install {package}"
        raise ConfigError("fonts", package, "not installed", hint)
    return Path(next(iter(spec.submodule_search_locations)))
