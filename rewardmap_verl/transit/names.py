"""Compare names of stops and lines; both sides of every comparison are normalized.

``normalize("Bois-du-Lan Station") == normalize("bois du lan") == "boisdulan"``

Station lists, printed maps, questions and models spell one stop in many ways. ``normalize``
maps a spelling to a key; two spellings mean one stop if their keys are equal. It is idempotent,
runs in linear time, and abbreviates whole words only ("Broadway" stays unchanged).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Final

__all__ = [
    "bracket_keys",
    "line_key",
    "loose_key",
    "loose_line_key",
    "normalize",
    "strip_markers",
]

MARKERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "transfer station": "transfer",
        "换乘站": "transfer",
        "branch-starting station": "branch",
        "支线起始站": "branch",
    }
)
"""Markers that a listed name may have in trailing brackets, and their meaning."""

_SUFFIXES: Final = frozenset({"station", "stations", "站", "駅", "역"})
"""Last words that only mean "station"."""

_CJK_SUFFIXES: Final = "站駅"
"""The same, written without a space after the name."""

_SHORT_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "university": "univ",
        "avenue": "av",
        "ave": "av",
        "avs": "av",
        "avenues": "av",
        "street": "st",
        "sts": "st",
        "streets": "st",
        "saint": "st",
        "square": "sq",
        "center": "ctr",
        "centre": "ctr",
        "road": "rd",
        "drive": "dr",
        "boulevard": "blvd",
        "bl": "blvd",
        "parkway": "pkwy",
        "highway": "hwy",
        "freeway": "fwy",
        "turnpike": "tpke",
        "heights": "hts",
        "park": "pk",
        "place": "pl",
        "district": "dist",
        "mount": "mt",
        "fort": "ft",
        "junior": "jr",
        "doctor": "dr",
    }
)
"""Whole words that maps print in full or abbreviated; both sides are folded to the short form."""

_LETTERS: Final[Mapping[int, str]] = MappingProxyType(
    str.maketrans(
        {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    )
)
"""Latin letters that Unicode does not decompose into a base letter and an accent."""

_ORDINALS: Final = frozenset({"st", "nd", "rd", "th"})
_BRACKETS: Final[Mapping[str, str]] = MappingProxyType(
    dict(zip("([{【〔〈《「", ")]}】〕〉》」", strict=True))
)
_CLOSING: Final = frozenset(_BRACKETS.values())
_ANY_BRACKET: Final = re.compile("[" + re.escape("".join((*_BRACKETS, *_CLOSING))) + "]")
_ASCII_RUNS: Final = re.compile(r"[0-9]+|[a-zA-Z]+|[^0-9a-zA-Z]+")
_REMARK: Final = re.compile(
    r"(?:[ \t][-–—→>:;,]{1,3}|[;,:])[ \t]{0,4}"
    r"(?:transfer|interchange|change|switch|alight|get[ \t]off|board|换乘|下车)",
    re.IGNORECASE,
)
"""The beginning of a remark that an answer put after the name of a stop."""

_DIRECTION: Final = re.compile(
    r"[ \t,;:–—-]{1,4}(?:towards?|in[ \t]the[ \t]direction|direction|往|开往)(?![a-z])",
    re.IGNORECASE,
)
"""The beginning of a direction that an answer put after the name of a line."""

_MAX_MARKERS: Final = 8
_MAX_PASSES: Final = 8

_LINE_WORDS: Final = frozenset(
    {"line", "lines", "linea", "linha", "ligne", "linje", "linie", "linia", "lijn", "linja"}
    | {"linija", "linka", "линия", "линія", "号线", "號線", "线", "線", "호선", "노선"}
)
_ARTICLES: Final = frozenset({"the", "la", "le", "el", "il", "die", "der", "den"})
"""Words that an answer may put before a line's name: "the Red Line"."""
_NETWORK_WORDS: Final = frozenset(
    {
        "metro",
        "subway",
        "underground",
        "mrt",
        "lrt",
        "tram",
        "train",
        "route",
        "地铁",
        "地鐵",
        "轨道交通",
    }
)


def strip_markers(text: str) -> tuple[str, frozenset[str]]:
    """Split a listed name into the name and its markers (``"transfer"``, ``"branch"``).

    ReasonMap's lists mark stops in four ways, with or without a space before the bracket, and a
    stop may have two markers: ``"Promenade Station (Transfer Station) (Branch-starting Station)"``.
    Only these brackets are markers; "Branch Ave Station" and "四方河（省中医院）站" are names.
    """
    name = text.strip()
    found: set[str] = set()
    for _ in range(_MAX_MARKERS):
        opening = max(name.rfind("("), name.rfind("（"))
        if opening < 0 or name[-1] not in ")）":
            break
        meaning = MARKERS.get(name[opening + 1 : -1].strip().casefold())
        if meaning is None:
            break
        found.add(meaning)
        name = name[:opening].rstrip()
    return name, frozenset(found)


def _fold(text: str) -> str:
    """Fold full-width forms, case and Latin accents; other scripts keep their vowel signs."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(char for char in apart if not "\u0300" <= char <= "\u036f")
    return unicodedata.normalize("NFKC", plain).casefold().translate(_LETTERS)


def _kind(char: str) -> str:
    if char.isdecimal():
        return "digits"
    if char.isalnum() or unicodedata.category(char)[0] == "M":
        return "letters"
    return "gap"


def _runs(text: str) -> list[tuple[str, str]]:
    """Split into runs of one kind of character: "digits", "letters", "gap"."""
    if text.isascii():
        return [(_kind(run[0]), run) for run in _ASCII_RUNS.findall(text)]
    return [(kind, "".join(chars)) for kind, chars in groupby(text, _kind)]


def _words(text: str) -> list[str]:
    """Return the runs of digits and of letters, without the "th" of "7th St"."""
    runs = _runs(text.replace("&", " and "))
    words = []
    for i, (kind, run) in enumerate(runs):
        after_digits = i > 0 and runs[i - 1][0] == "digits"
        before_word = i + 2 < len(runs) and runs[i + 1][0] == "gap" and runs[i + 2][0] == "letters"
        if kind != "gap" and not (run in _ORDINALS and after_digits and before_word):
            words.append(run)
    return words


def _segments(text: str) -> tuple[str, str]:
    """Split into the text outside brackets and the text inside them."""
    if not _ANY_BRACKET.search(text):
        return text, ""
    parts: tuple[list[str], list[str]] = ([], [])
    depth = 0
    for char in text:
        if char in _BRACKETS:
            depth += 1
        elif char in _CLOSING:
            depth = max(depth - 1, 0)
        parts[depth > 0].append(char)
    return "".join(parts[0]), "".join(parts[1])


def _without_suffix(words: list[str]) -> list[str]:
    """Drop trailing words that only mean "station", as long as a word remains."""
    end = len(words)
    while end > 1 and words[end - 1] in _SUFFIXES:
        end -= 1
    kept = words[:end]
    if kept:
        kept[-1] = kept[-1].rstrip(_CJK_SUFFIXES) or kept[-1]
    return kept


def _join(words: list[str]) -> str:
    """Join letters to letters; keep a space next to digits: "1 11 St" is not "11 1 St"."""
    runs: list[list[str]] = []
    apart = True
    for word in words:
        digits = word[0].isdecimal()
        if apart or digits:
            runs.append([word])
        else:
            runs[-1].append(word)
        apart = digits
    return " ".join(map("".join, runs))


def _name_words(segment: str) -> list[str]:
    return [_SHORT_FORMS.get(word, word) for word in _without_suffix(_words(segment))]


def _normalize_once(text: str) -> str:
    outer, inner = _segments(_fold(strip_markers(text)[0]))
    return _join(_name_words(outer) + _name_words(inner))


def normalize(text: str) -> str:
    """Map a spelling of a stop to the key by which stops are compared.

    Folds case, full-width forms, Latin accents, white space, punctuation, common abbreviations of
    whole words ("University" and "Univ"), the final word "Station" or "站" even if repeated, and
    the markers of the lists. Text in brackets stays part of the key and comes last.

    Returns:
        The key; ``normalize(key) == key``. Empty if the text has no letter and no digit.
    """
    key = _normalize_once(text)
    if (
        key.isascii() and key.isalpha() and key not in _SHORT_FORMS
    ):  # a single word needs no second pass
        return key
    for _ in range(_MAX_PASSES):
        again = _normalize_once(key)
        if again == key:
            break
        key = again
    return key


def bracket_keys(text: str) -> tuple[str, ...]:
    """Return the keys of both names of a spelling such as "Waitematā (Britomart) Station".

    Empty if the spelling has no second name in brackets. An answer may give either name alone.
    """
    outer, inner = (normalize(part) for part in _segments(_fold(strip_markers(text)[0])))
    return (outer, inner) if outer and inner else ()


def loose_key(text: str) -> str:
    """Return the key of an answer without a bracket or a final word "metro" that it added.

    For "Senawang Metro Station", "岔街地铁站", "Borgen (Transfer)" and "Borgen - transfer here".
    Used only if nothing in the network has the key of the full text, so that it never merges two
    stops.
    """
    text = _REMARK.split(text, maxsplit=1)[0]
    words = _without_suffix(_words(_segments(_fold(strip_markers(text)[0]))[0]))
    while len(words) > 1 and words[-1] in _NETWORK_WORDS:
        words.pop()
    if words:
        words[-1] = words[-1].removesuffix("地铁").removesuffix("地鐵") or words[-1]
    return normalize(" ".join(words))


def _line_words(text: str, dropped: frozenset[str]) -> list[str]:
    kept = []
    for word in _words(_fold(text)):
        bare = word.lstrip("0") or word
        if bare not in dropped:
            kept.append(bare if bare in dropped else bare.rstrip("线線") or bare)
    return kept


def line_key(text: str) -> str:
    """Map a spelling of a line to the key by which lines are compared.

    "Line 1", "line 1.", "1号线", "Line 01" and "1" share a key, as do "Azul" and "Linha Azul". A
    name that consists of such words only ("Line") keeps them.
    """
    return _join(_line_words(text, _LINE_WORDS)) or _join(_words(_fold(text)))


def loose_line_key(text: str) -> str:
    """Return the line key without an article, words that name the network, and brackets.

    For "地铁5号线(南湖东--姑娘桥)" and "Metro A Line", as map services write them, and for "The Red
    Line" and "Line 1 towards Central", as models do. Used only if ``line_key`` finds nothing.
    """
    outer = _segments(_fold(_DIRECTION.split(text, maxsplit=1)[0]))[0]
    first, _, rest = outer.lstrip().partition(" ")
    outer = rest if rest and first in _ARTICLES else outer
    return _join(_line_words(outer, _LINE_WORDS | _NETWORK_WORDS))
