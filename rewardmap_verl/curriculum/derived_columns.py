"""Columns for stage filters that are computed from the files of a row."""

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
    """Return the script of most letters in some names; ``none`` without a letter.

    Examples: ``latin``, ``chinese``, ``greek``, ``cyrillic``. For reading a map only the script of
    its language matters: whether Latin names are Italian or Portuguese makes no difference.
    """
    letters = (letter for name in names for letter in name if letter.isalpha())
    counts = Counter(unicodedata.name(letter, "?").split()[0].lower() for letter in letters)
    most = max(counts, key=lambda script: (counts[script], script), default="none")
    return "chinese" if most == "cjk" else most


def _script(path: Path) -> str:
    return script_of(stop.name for stop in read_network(path).stops)


def _by_network(compute: Callable[[Path], object]) -> Value:
    cached = cache(compute)
    return lambda folder, info: cached(folder / str(info["network"]))


DERIVED_COLUMNS: Mapping[str, Callable[[], Value]] = MappingProxyType(
    {"script": lambda: _by_network(_script)}
)
"""Keys that a stage filter may use beside those of ``extra_info``.

Each entry creates a function of the folder of the row's parquet file and of its ``extra_info``.
That function reads every file once."""
