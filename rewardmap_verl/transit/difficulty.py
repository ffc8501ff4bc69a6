"""The difficulty of reading a map: three levels, by number of lines and interchanges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rewardmap_verl.errors import DataError
from rewardmap_verl.transit.network import Network

__all__ = ["LEVELS", "MapDifficulty", "canonical_difficulty", "grade_maps"]

MapDifficulty = Literal["easy", "middle", "hard"]

LEVELS: tuple[MapDifficulty, ...] = ("easy", "middle", "hard")


def canonical_difficulty(text: object, where: object = "difficulty_city") -> MapDifficulty:
    """Return the canonical name of a level; the papers say "medium", the published data "middle".

    Raises:
        DataError: It is none of the three levels.
    """
    word = text.strip().casefold() if isinstance(text, str) else text
    word = "middle" if word == "medium" else word
    for level in LEVELS:
        if word == level:
            return level
    raise DataError(where, found=text, hint="Give easy, middle (or medium), or hard.")


def grade_maps(networks: Iterable[Network]) -> dict[tuple[str, str], MapDifficulty]:
    """Divide maps into three levels of equal size (ReasonMap, arXiv 2505.18675, section 3.2).

    Maps are ordered by the number of lines, then of interchanges; thirty maps give ten per level.
    The level is relative: it depends on the maps that are graded together, but not on their order.

    Returns:
        The level of each map by (country, city).
    """
    ordered = sorted(
        networks, key=lambda n: (len(n.lines), len(n.interchanges()), n.country, n.city)
    )
    return {
        (network.country, network.city): LEVELS[len(LEVELS) * rank // len(ordered)]
        for rank, network in enumerate(ordered)
    }
