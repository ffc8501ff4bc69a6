"""Invented names for stops and cities: believable, and the name of no real place by intent.

Names are put together from parts, so that some dozens of parts give thousands of names, and kept
far enough apart that no two of one network could be taken for each other.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.names import normalize
from rewardmap_verl.transit.synthesis.name_parts import NAME_PARTS, SHORT_NAMES

_LONGEST = 18
_SHORTEST_FOR_DISTANCE = 4


def generate_stop_names(rng: random.Random, count: int, language: str) -> list[str]:
    """``count`` names in one language, or of four and five letters when it is ``"short"``.

    No two of them are equal or one letter apart when normalized.

    Raises:
        ConfigError: The stock of names is too small for ``count``.
    """
    chosen: list[str] = []
    taken: set[str] = set()
    for name in _candidate_names(rng, language, 100 * count + 1000):
        near = _neighborhood(normalize(name))
        if taken.isdisjoint(near):
            taken |= near
            chosen.append(name)
            if len(chosen) == count:
                return chosen
    raise ConfigError(
        "synthetic settings",
        "languages",
        f"only {len(chosen)} {language} names for {count}",
        "Ask for fewer stops or another language.",
    )


def ascii_slug(text: str) -> str:
    """Small Latin letters, digits and underscores only, for file names; may be empty."""
    folded = unicodedata.normalize("NFKD", text.lower())
    kept = "".join(c if c.isascii() and c.isalnum() else " " * (c in " -") for c in folded)
    return "_".join(kept.split())


def _candidate_names(rng: random.Random, language: str, most: int) -> Iterator[str]:
    if language == "short":
        yield from rng.sample(SHORT_NAMES, len(SHORT_NAMES))
        return
    stock = NAME_PARTS[language]
    for _ in range(most):
        stem, other = rng.choice(stock.stems), rng.choice(stock.stems)
        end, kind = rng.choice(stock.ends), rng.choice(stock.kinds)
        name = rng.choice(stock.patterns).format(s=stem, s2=other, e=end, k=kind)
        clumsy = stem == other or (_is_vowel(stem[-1]) and _is_vowel(end[0]))
        if len(name) <= _LONGEST and normalize(name) and not clumsy:
            yield name


def _is_vowel(letter: str) -> bool:
    return unicodedata.normalize("NFKD", letter.lower())[0] in "aeiouy"


def _neighborhood(key: str) -> set[str]:
    """The key and every string one letter shorter: two keys share one when they are that close.

    Very short keys (Chinese names of two or three characters) stand for themselves alone.
    """
    if len(key) < _SHORTEST_FOR_DISTANCE:
        return {key}
    return {key} | {key[:i] + key[i + 1 :] for i in range(len(key))}
