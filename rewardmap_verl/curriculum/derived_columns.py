"""What is not written in a row but follows from the files that it points at."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rewardmap_verl.transit.reader import read_network

__all__ = ["DERIVED_COLUMNS", "script_of"]


Value = Callable[[Path, Mapping[str, Any]], object]


def script_of(names: Iterable[str]) -> str:
    """The script that most letters of some names belong to: ``latin``, ``chinese``, ``greek``,
    ``cyrillic``, …; ``none`` without a letter.

    A map's language shows in its script as far as training is concerned: whether its names are
    words of Italian or of Portuguese changes nothing that is read off it.
    """
    letters = (letter for name in names for letter in name if letter.isalpha())
    counts = Counter(unicodedata.name(letter, "?").split()[0].lower() for letter in letters)
    most = max(counts, key=lambda script: (counts[script], script), default="none")
    return "chinese" if most == "cjk" else most


def _script(path: Path) -> str:
    return script_of(stop.name for stop in read_network(path).stops)


def _by_network(look: Callable[[Path], object]) -> Value:
    once = cache(look)
    return lambda folder, info: once(folder / str(info["network"]))


DERIVED_COLUMNS: Mapping[str, Callable[[], Value]] = MappingProxyType(
    {"script": lambda: _by_network(_script)}
)
"""Keys that a filter may use beside those of ``extra_info``. Each makes a function of the folder of
a row's parquet file and of its ``extra_info``, which reads every file once."""
