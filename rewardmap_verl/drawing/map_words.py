"""The words of a map that name no stop and no line, in the language of its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

__all__ = ["MapWords", "words_of"]


@dataclass(frozen=True, slots=True)
class MapWords:
    """The words of the legend and the scenery in one language."""

    stop: str
    interchange: str
    walk: str
    zone: str
    river: str
    """Pattern of a river's name; ``{}`` stands for one of ``rivers``."""
    rivers: tuple[str, ...]
    """Invented names."""


_ENGLISH: Final = MapWords(
    *("Stop", "Interchange", "Walk", "Zone", "River {}"),
    ("Avel", "Corve", "Drisse", "Elvane", "Lorne", "Mordel", "Sarrow"),
)
_WORDS: Final[Mapping[str, MapWords]] = MappingProxyType(
    {
        "english": _ENGLISH,
        "german": MapWords(
            *("Haltestelle", "Umstieg", "Fußweg", "Zone", "{}"),
            ("Alme", "Erpe", "Fulde", "Grauach", "Lauter", "Oser", "Wiesau"),
        ),
        "french": MapWords(
            *("Station", "Correspondance", "À pied", "Zone", "La {}"),
            ("Brenne", "Claise", "Dorvine", "Mortelle", "Sauldre", "Verzée"),
        ),
        "spanish": MapWords(
            *("Estación", "Transbordo", "A pie", "Zona", "Río {}"),
            ("Almar", "Cedrón", "Duratón", "Noguero", "Salado", "Tórmez"),
        ),
        "nordic": MapWords(
            *("Hållplats", "Byte", "Gångväg", "Zon", "{}"),
            ("Almån", "Klarån", "Lillån", "Mörkån", "Svanån", "Ulvån"),
        ),
        "cyrillic": MapWords(
            *("Станция", "Пересадка", "Пешком", "Зона", "Река {}"),
            ("Березовка", "Каменка", "Липовка", "Ольховка", "Тёплая"),
        ),
        "greek": MapWords(
            *("Στάση", "Ανταπόκριση", "Με τα πόδια", "Ζώνη", "Ποταμός {}"),
            ("Ασπρος", "Κρυονέρης", "Πλατύς", "Ξηριάς"),
        ),
        "chinese": MapWords(
            *("车站", "换乘站", "步行换乘", "区", "{}河"),
            ("青龙", "白沙", "清水", "柳林", "银杏"),
        ),
    }
)


def words_of(language: str) -> MapWords:
    """Return the words of a language of generated names; English for any other."""
    return _WORDS.get(language, _ENGLISH)
