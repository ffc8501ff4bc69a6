"""What a GTFS feed says about its map besides the lines: its language, and where people walk."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.gtfs_tables import Feed, TableRow

__all__ = ["feed_language", "walking_pairs"]

_LANGUAGES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "de": ("german", "LATIN"),
        "es": ("spanish", "LATIN"),
        "fr": ("french", "LATIN"),
        "sv": ("nordic", "LATIN"),
        "ru": ("cyrillic", "CYRILLIC"),
        "el": ("greek", "GREEK"),
        "zh": ("chinese", "CJK"),
    }
)
"""Language of the words of a map, and its script, by the first letters of ``agency_lang``."""

_IMPOSSIBLE: Final = "3"
"""``transfer_type`` of two stops between which no transfer is possible."""


def feed_language(feed: Feed, names: Iterable[str]) -> str:
    """Return the language of a feed if stops are named in its script, otherwise English."""
    rows = feed.rows("agency", ()) if feed.has("agency") else ()
    code = next((row.get("agency_lang").lower()[:2] for row in rows), "")
    language, script = _LANGUAGES.get(code, ("english", "LATIN"))
    letters = {unicodedata.name(letter, "").partition(" ")[0] for name in names for letter in name}
    return language if script in letters else "english"


def walking_pairs(
    feed: Feed, station_of: Mapping[str, str], stations: Sequence[str], notes: list[str]
) -> tuple[tuple[int, int], ...]:
    """Return the pairs of stations that ``transfers.txt`` joins, as indexes into ``stations``.

    Args:
        feed: The feed.
        station_of: Station of each used ``stop_id``; a station stands for itself.
        stations: The stations of the network.
        notes: Receives a note if the table cannot be read.
    """
    index = {station: number for number, station in enumerate(stations)}
    found: dict[tuple[int, int], None] = {}
    for row in _transfers(feed, notes):
        ends = (row.get("from_stop_id"), row.get("to_stop_id"))
        pair = sorted({index.get(station_of.get(stop, stop), -1) for stop in ends})
        if row.get("transfer_type") != _IMPOSSIBLE and len(pair) == 2 and pair[0] >= 0:
            found[pair[0], pair[1]] = None
    return tuple(found)


def _transfers(feed: Feed, notes: list[str]) -> Iterator[TableRow]:
    """Yield the rows of an optional table, in which a fault is only a note."""
    if feed.has("transfers"):
        try:
            yield from feed.rows("transfers", ("from_stop_id", "to_stop_id"))
        except DataError as error:
            notes.append(f"transfers.txt is left out: {error}")
