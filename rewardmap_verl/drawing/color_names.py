"""Colors in the names of lines: what "Red-N", "Línea Azul" or "绿线" should look like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from rewardmap_verl.drawing.color_difference import color_difference, lab_of

__all__ = ["color_category", "named_categories"]

_PROTOTYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "red": "#d62828 #ff0000 #b22222 #7c1530",
        "orange": "#f28c1b #ff6319 #ff9933",
        "yellow": "#f2c91d #ffff00 #d4af37 #fff2b0",
        "green": "#1f9d4d #00ff00 #006400 #9ccb3b #86822a #b8e0b0",
        "cyan": "#22b6d8 #00ffff #0d8078 #40e0d0 #84d8b4",
        "blue": "#1f5fc4 #0000ff #1b2a63 #5a9bd5 #0099cc #b0d0f0",
        "purple": "#7b3fa0 #800080 #4b0082 #b3a1e6",
        "pink": "#ee7fb2 #ff69b4 #cf1f8d #ff00ff #ffc8dc",
        "brown": "#8a5a33 #5c3a1e #a0522d #b08050",
        "gray": "#8b949c #a7a9ac #606870 #c8ccd0",
        "black": "#30343a #000000",
    }
)
"""Examples of each basic color; a color belongs to the category of its nearest example."""

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "red": "red crimson scarlet ruby rojo roja vermelho vermelha rouge rot rote rosso rossa "
        "rood rode rod roda красная красный czerwona červená",
        "red brown purple": "maroon burgundy bordeaux",
        "red orange pink": "coral salmon",
        "orange": "orange naranja laranja arancione oranje оранжевая оранжевый",
        "yellow": "yellow amarillo amarilla amarelo amarela jaune gelb gelbe giallo gialla geel "
        "gele gul gula желтая желтый zolta zluta",
        "yellow orange brown": "gold golden amber dorado dorada",
        "green": "green emerald verde vert verte grun grune groen groene gron grona gronn gronne "
        "зеленая зеленый zielona zelena",
        "green yellow": "lime",
        "green yellow brown": "olive",
        "cyan blue": "cyan aqua sky azure celeste",
        "cyan green blue": "teal turquoise turquesa mint",
        "blue cyan": "blue azul azzurra blau blaue bleu bleue blu blauw blauwe bla синяя синий "
        "голубая niebieska modra",
        "blue": "navy",
        "purple pink": "purple violet violeta violette viola lilac lavender mauve lila morado "
        "morada roxo roxa paars paarse фиолетовая фиолетовый fioletowa",
        "purple blue": "indigo",
        "pink purple": "magenta fuchsia",
        "pink red": "pink rose rosa roze розовая розовый",
        "brown": "brown marron brun brune braun braune marrom marrone bruin bruine коричневая",
        "gray": "gray grey silver gris grise cinza grau graue grigio grigia grijs gra plata "
        "серая серый",
        "black": "black negro negra preto preta noir noire schwarz schwarze nero nera zwart svart "
        "черная черный",
    }
)
"""Words in names of lines, without accents, by the categories of colors that fit them."""

_CJK_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "红紅赤": "red",
        "橙橘": "orange",
        "黄黃": "yellow",
        "绿綠緑": "green",
        "蓝藍青": "blue cyan green",
        "紫": "purple pink",
        "粉": "pink",
        "棕褐啡": "brown",
        "灰银銀": "gray",
        "黑黒": "black",
    }
)
"""Chinese and Japanese characters for colors, which count before "line" or "color"."""

_LINE_WORDS: Final = frozenset(
    {
        *("line", "lines", "linea", "linha", "ligne", "linie", "linje", "lijn", "linia", "linka"),
        *("линия", "route", "ruta", "ramal", "rail", "train", "tram", "metro", "subway"),
        *("branch", "service", "express", "local"),
    }
)
_DIRECTIONS: Final = frozenset(
    {
        *("north", "south", "east", "west", "inbound", "outbound"),
        *("northbound", "southbound", "eastbound", "westbound"),
    }
)


@lru_cache(maxsize=4096)
def named_categories(name: str) -> frozenset[str]:
    """Return the categories of colors that fit the name of a line; empty if it names no color.

    A word counts next to a word such as "line", or if the name says little else: "Red-N" and "Red
    Line to Alewife" name a color, "Santa Rosa" and "Orange County Line" do not.
    """
    words = re.findall(r"[^\W_]+", _unaccented(name).replace("ø", "o").replace("ł", "l"))
    found = [_categories_of(word) for word in words]
    bare = all(fits or _is_generic(word) for word, fits in zip(words, found, strict=True))
    named = {
        category
        for number, fits in enumerate(found)
        if bare or not _LINE_WORDS.isdisjoint(words[max(0, number - 1) : number + 2])
        for category in fits
    }
    for chars, key in _CJK_WORDS.items():
        if re.search(f"[{chars}](?=[线線色])", name):
            named.update(key.split())
    return frozenset(named)


def _is_generic(word: str) -> bool:
    return len(word) == 1 or word.isdecimal() or word in _LINE_WORDS or word in _DIRECTIONS


def _categories_of(word: str) -> frozenset[str]:
    return frozenset(
        c for key, named in _WORDS.items() if word in _plain(named) for c in key.split()
    )


def _unaccented(text: str) -> str:
    """Return a text in lower case without accents; й and ё lose theirs as well."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))


@lru_cache(maxsize=64)
def _plain(words: str) -> frozenset[str]:
    return frozenset(_unaccented(words).split())


@lru_cache(maxsize=4096)
def color_category(color: str) -> str:
    """Return the basic color to which ``#rrggbb`` belongs."""
    lab = lab_of(color)
    return min(
        _PROTOTYPES,
        key=lambda name: min(color_difference(lab, lab_of(c)) for c in _PROTOTYPES[name].split()),
    )
