"""The fonts of the maps: one with every glyph of a text, shaped where the script needs it.

DejaVu Sans is part of matplotlib, so a map looks the same on every machine. It covers Latin, Greek,
Cyrillic, Armenian, Georgian, Hebrew and Arabic. The Noto Sans fonts of other scripts (SIL Open Font
License) are in optional packages. A text that no installed font covers is an error: no map is drawn
with an empty box in place of a letter.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from PIL import ImageFont, features

from rewardmap_verl.errors import ConfigError

__all__ = [
    "FAMILIES",
    "LINE_HEIGHT",
    "FontFamily",
    "embedded_family",
    "font_file",
    "font_for",
    "is_right_to_left",
    "printable",
    "shaping_options",
    "text_extent",
]

LINE_HEIGHT = 1.15
"""Distance between baselines, as a multiple of the font size."""


@dataclass(frozen=True, slots=True)
class FontFamily:
    """A font family in an installed or optional package."""

    name: str
    package: str
    """Import name of the package."""
    regular: str
    """Path of the font in the package."""
    bold: str = ""
    """Path of the bold font; empty for a variable font."""
    blocks: tuple[tuple[int, int], ...] = ()
    """First and last code points of the scripts that the family is for."""
    shaped: bool = True
    """Whether the scripts always need shaping."""


def _noto(script: str, package: str, *blocks: tuple[int, int]) -> FontFamily:
    folder = f"fonts/ofl/notosans{script.lower()}"
    return FontFamily(
        f"Noto Sans {script}",
        package,
        f"{folder}/NotoSans{script}[wdth,wght].ttf",
        blocks=blocks,
    )


def _noto_cjk(script: str, *blocks: tuple[int, int]) -> FontFamily:
    path = f"fonts/ofl/notosans{script.lower()}/NotoSans{script}[wght].ttf"
    return FontFamily(
        f"Noto Sans {script}", "justmytype_intl_cjk", path, blocks=blocks, shaped=False
    )


_SEA, _SOUTH_ASIA = "justmytype_intl_sea", "justmytype_intl_south_asia"
_RTL, _AFRICA = "justmytype_intl_rtl", "justmytype_intl_africa"
_DEJAVU: Final = FontFamily(
    "DejaVu Sans",
    "matplotlib",
    "mpl-data/fonts/ttf/DejaVuSans.ttf",
    "mpl-data/fonts/ttf/DejaVuSans-Bold.ttf",
    blocks=(
        (0x20, 0x7E),
        (0xA1, 0xAC),
        (0xAE, 0x24F),
        (0x391, 0x3A1),
        (0x3A3, 0x3FF),
        (0x400, 0x4FF),
    ),
    shaped=False,
)
_OPTIONAL: Final = (
    _noto("Arabic", _RTL, (0x600, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFEFC)),
    _noto("Hebrew", _RTL, (0x590, 0x5FF), (0xFB1D, 0xFB4F)),
    _noto("Devanagari", _SOUTH_ASIA, (0x900, 0x97F), (0xA8E0, 0xA8FF)),
    _noto("Bengali", _SOUTH_ASIA, (0x980, 0x9FF)),
    _noto("Tamil", _SOUTH_ASIA, (0xB80, 0xBFF)),
    _noto("Telugu", _SOUTH_ASIA, (0xC00, 0xC7F)),
    _noto("Thai", _SEA, (0xE00, 0xE7F)),
    _noto("Lao", _SEA, (0xE80, 0xEFF)),
    _noto("Myanmar", _SEA, (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
    _noto("Khmer", _SEA, (0x1780, 0x17FF), (0x19E0, 0x19FF)),
    _noto("Ethiopic", _AFRICA, (0x1200, 0x139F), (0x2D80, 0x2DDF)),
    _noto_cjk("JP", (0x3040, 0x30FF), (0x31F0, 0x31FF)),
    _noto_cjk("KR", (0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7FF)),
    _noto_cjk("SC", (0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF)),
    _noto_cjk("TC", (0x2E80, 0x9FFF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0x20000, 0x323AF)),
)
"""The first family that has every glyph of a text is used."""
FAMILIES: Final = f"{_DEJAVU.name}, sans-serif"
"""Font families of SVG files, except for texts whose font is embedded."""

_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "RLE", "RLO", "RLI"})
_INVISIBLE: Final = frozenset({0x34F, *range(0x180B, 0x180E), *range(0xFE00, 0xFE10)})
"""Joiners and variation selectors: they select or join glyphs and have none."""


@lru_cache(maxsize=256)
def _load(family: FontFamily, size: float, bold: bool, shaped: bool) -> ImageFont.FreeTypeFont:
    """Return a font at a size in pixels.

    The basic layout engine is used wherever it suffices: its output depends on Pillow alone.
    """
    engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    path = font_file(family, bold)
    font = ImageFont.truetype(path, size, layout_engine=engine)
    if not family.bold:
        weight = 700 if bold else 400
        axes = font.get_variation_axes()
        font.set_variation_by_axes([weight if "eight" in _axis(axis) else 100 for axis in axes])
    return font


def font_file(family: FontFamily, bold: bool = False) -> Path:
    """Return the file of a font.

    Raises:
        ConfigError: The package of the font is not installed.
    """
    return _package(family) / ((bold and family.bold) or family.regular)


def embedded_family(text: str) -> FontFamily | None:
    """Return the font family of a text that an SVG file has to embed; None for DejaVu Sans."""
    family = _family(text)
    return None if family is _DEJAVU else family


def _axis(axis: Any) -> str:
    name = axis["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def font_for(text: str, size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Return the font that has every glyph of a text.

    Raises:
        ConfigError: There is no such font, its package is not installed, or the text needs shaping
            and Pillow has no raqm.
    """
    return _load(_family(text), size, bold, _needs_shaping(text))


def shaping_options(text: str) -> dict[str, Any]:
    """Return the options with which Pillow measures and draws a text.

    The language is fixed because the default depends on the machine.
    """
    if not _needs_shaping(text):
        return {}
    return {"direction": "rtl" if is_right_to_left(text) else "ltr", "language": "und"}


def is_right_to_left(text: str) -> bool:
    """Return whether the first letter of a text belongs to a script written from right to left."""
    kinds = (unicodedata.bidirectional(char) for char in text)
    strong = next((kind for kind in kinds if kind == "L" or kind in _RIGHT_TO_LEFT), "L")
    return strong != "L"


def printable(text: str) -> str:
    """Return a text as it is drawn: with composed accents."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


@lru_cache(maxsize=8192)
def text_extent(text: str, size: float, bold: bool) -> tuple[float, float, float]:
    """Return width, height above the baseline and depth below it, in pixels.

    The height is at least that of a capital letter, so that labels of one size share a baseline.

    Raises:
        ConfigError: No installed font has every glyph of the text.
    """
    drawn = printable(text)
    font, options = font_for(drawn, size, bold), shaping_options(drawn)
    left, top, right, bottom = font.getbbox(drawn, anchor="ls", **options)
    cap = font.getbbox("H", anchor="ls")[1]
    width = max(right, font.getlength(drawn, **options)) - min(left, 0)
    return width, -min(top, cap), max(bottom, 0)


@lru_cache(maxsize=8192)
def _needs_shaping(text: str) -> bool:
    """Return whether letters of a text join, combine, or run from right to left."""
    if text.isascii() or not (_family(text).shaped or any(map(_is_complex, text))):
        return False
    if not features.check("raqm"):
        hint = (
            "Install a Pillow with raqm: pip install --force-reinstall --only-binary :all: pillow"
        )
        raise ConfigError("fonts", found=f"{text!r} and Pillow without raqm", hint=hint)
    return True


def _is_complex(char: str) -> bool:
    right_to_left = unicodedata.bidirectional(char) in (*_RIGHT_TO_LEFT, "AN")
    return right_to_left or unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf")


@lru_cache(maxsize=8192)
def _family(text: str) -> FontFamily:
    """Return the first font family that has every glyph of a text."""
    missing = {code for code in map(ord, text) if not _is_for(_DEJAVU, code)}
    missing = missing and {code for code in missing if _has_glyph(code)} - _coverage(_DEJAVU)
    if not missing:
        return _DEJAVU
    candidates = [family for family in _OPTIONAL if any(_is_for(family, c) for c in missing)]
    for family in candidates:
        if _is_installed(family) and all(map(_is_covered(family), map(ord, text))):
            return family
    for family in candidates:
        _package(family)
    odd = chr(min(missing))
    name = unicodedata.name(odd, "unnamed")
    found = f"{text!r} with {odd!r} (U+{ord(odd):04X} {name})"
    raise ConfigError(
        "fonts", found=found, hint="No font has this character; rename the stop or line."
    )


def _is_covered(family: FontFamily) -> Any:
    return lambda code: code in _coverage(family) or not _has_glyph(code)


def _has_glyph(code: int) -> bool:
    """Return whether a character is drawn at all."""
    return unicodedata.category(chr(code)) != "Cf" and code not in _INVISIBLE


def _is_for(family: FontFamily, code: int) -> bool:
    return any(first <= code <= last for first, last in family.blocks)


@lru_cache(maxsize=64)
def _coverage(family: FontFamily) -> frozenset[int]:
    """Return the code points for which both weights of a family have a glyph."""
    folder = _package(family)
    fonts = [_code_points(folder / path) for path in (family.regular, family.bold) if path]
    return frozenset(fonts[0].intersection(*fonts[1:]))


def _code_points(path: Path) -> set[int]:
    from fontTools.ttLib import TTFont

    with TTFont(path, lazy=True) as font:
        return set(font.getBestCmap())


def _is_installed(family: FontFamily) -> bool:
    return _folder(family) is not None


def _package(family: FontFamily) -> Path:
    """Return the folder of the package of a font.

    Raises:
        ConfigError: The package is not installed.
    """
    folder = _folder(family)
    if folder is None:
        package = family.package.replace("_", "-")
        subject = "Maps need" if family is _DEJAVU else f"Names in this script need {family.name}"
        raise ConfigError(
            "fonts", package, "not installed", f"{subject}; run: pip install {package}"
        )
    return folder


def _folder(family: FontFamily) -> Path | None:
    """Return the folder of a package without importing it."""
    spec = find_spec(family.package)
    folders: Iterator[str] = iter((spec and spec.submodule_search_locations) or ())
    folder = next(folders, None)
    return Path(folder) if folder else None
