"""Options of synthetic maps, shared by ``prepare synthetic`` and ``draw``."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

__all__ = ["Language", "language_names"]


class Language(str, Enum):
    """Language that the synthetic names of stops imitate."""

    SHORT = "short"
    ENGLISH = "english"
    GERMAN = "german"
    FRENCH = "french"
    SPANISH = "spanish"
    NORDIC = "nordic"
    CYRILLIC = "cyrillic"
    GREEK = "greek"
    CHINESE = "chinese"


def language_names(languages: Sequence[Language]) -> tuple[str, ...]:
    """Return the languages as names, without duplicates, in the order given."""
    return tuple(dict.fromkeys(language.value for language in languages))
