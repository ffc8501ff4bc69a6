"""The maps of the pretraining: drawn for it, and in no prepared folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from rewardmap_verl.drawing.pocket_map import PocketStyle, draw_pocket_map
from rewardmap_verl.tiny_model.map_reader import MapReader
from rewardmap_verl.tiny_model.pretraining_settings import PretrainSettings
from rewardmap_verl.tiny_model.reading_tasks import (
    KINDS,
    Task,
    interchange_tasks,
    map_tasks,
    pair_tasks,
)
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings, generate_pocket_network

if TYPE_CHECKING:
    import torch

__all__ = [
    "NETWORKS",
    "STYLE",
    "MapPool",
    "blank_map",
    "held_out_maps",
    "pretraining_map",
    "see_maps",
    "tasks_by_kind",
]

NETWORKS: Final = PocketSettings()
STYLE: Final = PocketStyle()

_SEEDS: Final = 1_000_000_007
"""Added to the seed of the maps, so that no prepared folder has one of them."""
_FIRST_HELD_OUT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class MapPool:
    """Maps with their tasks by kind and their visual tokens."""

    tasks: list[dict[str, list[Task]]]
    seen: torch.Tensor
    """Visual tokens (maps, tokens, width)."""


def tasks_by_kind(placed: PlacedNetwork, seed: int) -> dict[str, list[Task]]:
    """Return the tasks about a map by kind."""
    tasks = [
        *map_tasks(placed, seed),
        *pair_tasks(placed.network, seed),
        *interchange_tasks(placed),
    ]
    return {kind: found for kind in KINDS if (found := [t for t in tasks if t.kind == kind])}


def see_maps(reader: MapReader, networks: Sequence[PlacedNetwork]) -> torch.Tensor:
    """Draw maps and return their visual tokens (maps, tokens, width)."""
    return reader.see([draw_pocket_map(placed, STYLE).image for placed in networks])


def blank_map() -> Image.Image:
    """Return a white picture of the size of the maps."""
    size = (NETWORKS.width * STYLE.cell, NETWORKS.height * STYLE.cell)
    return Image.new("RGB", size, "white")


def pretraining_map(settings: PretrainSettings, index: int) -> PlacedNetwork:
    """Return map number ``index`` of a pretraining."""
    return generate_pocket_network(_SEEDS + settings.seed, index, NETWORKS)


def held_out_maps(settings: PretrainSettings) -> list[PlacedNetwork]:
    """Return the maps of the final evaluation, which pretraining never uses."""
    return [pretraining_map(settings, _FIRST_HELD_OUT + i) for i in range(settings.held_out)]
