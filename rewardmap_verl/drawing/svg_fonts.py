"""Fonts embedded in SVG files: the glyphs of scripts for which few viewers have a font."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable

from rewardmap_verl.drawing.fonts import FontFamily, embedded_family, font_file, printable
from rewardmap_verl.drawing.scene import Text

__all__ = ["font_faces"]


def font_faces(texts: Iterable[Text]) -> str:
    """Return the CSS that embeds the fonts of some texts, reduced to the letters in use.

    Empty if all texts are in DejaVu Sans, whose scripts every viewer can show.
    """
    letters: dict[FontFamily, set[str]] = {}
    for text in texts:
        family = embedded_family(printable(text.text))
        if family is not None:
            letters.setdefault(family, set()).update(printable(text.text))
    return "".join(_font_face(family, "".join(sorted(used))) for family, used in letters.items())


def _font_face(family: FontFamily, letters: str) -> str:
    data = b64encode(_subset(family, letters)).decode("ascii")
    source = f"url(data:font/ttf;base64,{data})"
    return f'@font-face{{font-family:"{family.name}";font-weight:100 900;src:{source}}}'


def _subset(family: FontFamily, letters: str) -> bytes:
    """Return the font with the glyphs of some letters and all their ligatures."""
    from fontTools import subset

    options = subset.Options(layout_features=["*"], recalc_timestamp=False, notdef_outline=True)
    font = subset.load_font(font_file(family), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text=letters)
    subsetter.subset(font)
    buffer = io.BytesIO()
    subset.save_font(font, buffer, options)
    return buffer.getvalue()
