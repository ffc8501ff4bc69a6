"""Generate believable names for stops and cities that are not meant to match real places.

Names are composed of parts, so dozens of parts give thousands of names. Two names of one network
are never close enough to be confused.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.names import normalize
from rewardmap_verl.transit.synthesis.name_parts import NAME_PARTS, SHORT_NAMES

_MAX_LENGTH = 18
_MIN_LENGTH_FOR_DISTANCE = 4


def generate_stop_names(rng: random.Random, count: int, language: str) -> list[str]:
    """Return ``count`` names in one language; ``"short"`` gives names of four or five letters.

    No two of them are equal or one letter apart after normalization.

    Raises:
        ConfigError: There are fewer than ``count`` names.
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
    """Return only lowercase Latin letters, digits and underscores, for file names; may be empty."""
    folded = unicodedata.normalize("NFKD", text.lower())
    kept = "".join(c if c.isascii() and c.isalnum() else " " * (c in " -") for c in folded)
    return "_".join(kept.split())


def _candidate_names(rng: random.Random, language: str, attempts: int) -> Iterator[str]:
    if language == "short":
        yield from rng.sample(SHORT_NAMES, len(SHORT_NAMES))
        return
    parts = NAME_PARTS[language]
    for _ in range(attempts):
        stem, other = rng.choice(parts.stems), rng.choice(parts.stems)
        end, kind = rng.choice(parts.ends), rng.choice(parts.kinds)
        name = rng.choice(parts.patterns).format(s=stem, s2=other, e=end, k=kind)
        clumsy = stem == other or (_is_vowel(stem[-1]) and _is_vowel(end[0]))
        if len(name) <= _MAX_LENGTH and normalize(name) and not clumsy:
            yield name


def _is_vowel(letter: str) -> bool:
    return unicodedata.normalize("NFKD", letter.lower())[0] in "aeiouy"


def _neighborhood(key: str) -> set[str]:
    """Return the key and every string one letter shorter; similar keys have one in common.

    Very short keys (Chinese names of two or three characters) stand for themselves only.
    """
    if len(key) < _MIN_LENGTH_FOR_DISTANCE:
        return {key}
    return {key} | {key[:i] + key[i + 1 :] for i in range(len(key))}
