"""Resolve the line names of reference routes.

Reference routes come from map services, whose names differ from the station lists:
"地铁5号线(南湖东--姑娘桥)", "M4-es Metróvonal", "MRT Kajang Line". They are looked up in a
table per city (``line_names.yaml``), then as any other line name. The model's answer is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType

import yaml
from pydantic import TypeAdapter

from rewardmap_verl.transit.names import line_key, loose_line_key
from rewardmap_verl.transit.network import Line, Network

__all__ = ["reference_line"]

_Table = dict[str, dict[str, tuple[str, ...]]]


@cache
def _tables() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    file = files("rewardmap_verl.evaluation").joinpath("line_names.yaml")
    return MappingProxyType(
        TypeAdapter(_Table).validate_python(yaml.safe_load(file.read_text(encoding="utf-8")))
    )


@lru_cache(maxsize=256)
def _by_key(country: str, city: str) -> Mapping[str, str]:
    table = _tables().get(f"{country}/{city}", {})
    return MappingProxyType(
        {
            key: line
            for line, names in table.items()
            for name in names
            for key in (line_key(name), loose_line_key(name))
        }
    )


def reference_line(network: Network, name: str) -> Line | None:
    """Return the line of a reference route; ``None`` when the network has no such line."""
    listed = _by_key(network.country, network.city)
    for key in (line_key(name), loose_line_key(name)):
        if key in listed:
            return next((line for line in network.lines if line.name == listed[key]), None)
    return network.find_line(name)
