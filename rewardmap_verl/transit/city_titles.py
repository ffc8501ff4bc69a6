"""Names of cities as people read them."""

from __future__ import annotations

import re

__all__ = ["FIRST_TEST_INDEX", "city_title"]

FIRST_TEST_INDEX = 1_000_000
"""Index of the first synthetic network for testing; those for training count from 0."""

_SYNTHETIC = re.compile(r"(?P<name>.+)_\d+_(?P<index>\d+)")


def city_title(country: str, city: str) -> str:
    """Return a city for headings.

    ``china/hong_kong`` is Hong Kong, China. Of a synthetic city, ``NAME_SEED_INDEX``, the seed is
    left out: ``synthetic/arlo_1_1000003`` is Arlo, test map 4.
    """
    found = _SYNTHETIC.fullmatch(city) if country == "synthetic" else None
    if found is None:
        return ", ".join(dict.fromkeys((_words(city), _words(country))))
    index = int(found["index"])
    number = index % FIRST_TEST_INDEX + 1
    kind = "test map" if index >= FIRST_TEST_INDEX else "map"
    return f"{_words(found['name'])}, {kind} {number}"


def _words(text: str) -> str:
    """Return a name with spaces, and with capitals if it has none."""
    spaced = text.replace("_", " ").strip()
    return spaced.title() if spaced == spaced.lower() else spaced
