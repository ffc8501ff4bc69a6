"""Small sources of maps that the tests of the preparation share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.settings import SIZES, PrepareSettings

TINY = SIZES["tiny"]

NETWORKS = {
    "north/alpha": {
        "Line 1": ["Ash", "Birch", "Cedar", "Dogwood", "Elm"],
        "Line 2": ["Fir", "Cedar", "Gorse", "Hazel"],
    },
    "north/beta": {
        "Line 1": ["Amber", "Beryl", "Coral", "Diamond"],
        "Line 2": ["Emerald", "Coral", "Fluorite", "Garnet"],
        "Line 3": ["Garnet", "Hematite", "Amber", "Ivory"],
    },
    "south/gamma": {
        "Red": ["Apple", "Banana", "Cherry", "Date", "Elder", "Fig"],
        "Blue": ["Grape", "Cherry", "Hop", "Imbe"],
    },
}


def noise(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A picture that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3))
    small = Image.fromarray(pixels.astype(np.uint8))
    return small.resize((width, height), Image.Resampling.NEAREST)


def write_city(root: Path, key: str, lines: dict[str, list[str]], seed: int | None) -> None:
    """Write one city in ReasonMap's layout; without a seed it gets no picture."""
    stations = root / "stations" / f"{key}.json"
    stations.parent.mkdir(parents=True, exist_ok=True)
    stations.write_text(json.dumps(lines, ensure_ascii=False), encoding="utf-8")
    if seed is not None:
        picture = root / "maps" / f"{key}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(picture)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of three small cities."""
    folder = tmp_path / "root"
    for seed, (key, lines) in enumerate(NETWORKS.items()):
        write_city(folder, key, lines, seed)
    return folder


@pytest.fixture
def local(root: Path, tmp_path: Path) -> Callable[..., PrepareSettings]:
    """Settings for the three cities; gamma is test."""

    def make(**changes: Any) -> PrepareSettings:
        settings = {
            "source": "local",
            "root": root,
            "out": tmp_path / "out",
            "test_cities": ("gamma",),
            "workers": 1,
            **_of_tiny(),
        }
        return PrepareSettings(**(settings | changes))

    return make


@pytest.fixture
def synthetic(tmp_path: Path) -> Callable[..., PrepareSettings]:
    """Settings for two invented training maps and a test map."""

    def make(**changes: Any) -> PrepareSettings:
        settings = {
            "source": "synthetic",
            "out": tmp_path / "out",
            "train_maps": 2,
            "test_maps": 1,
            "networks": TINY.networks,
            "style": TINY.style,
            "workers": 1,
            **_of_tiny(),
        }
        return PrepareSettings(**(settings | changes))

    return make


def _of_tiny() -> dict[str, Any]:
    return {
        "quotas": TINY.quotas,
        "brief": True,
        "budget": PixelBudget(max_pixels=TINY.max_pixels, min_pixels=TINY.min_pixels),
        "max_prompt_length": TINY.max_prompt_length,
    }
