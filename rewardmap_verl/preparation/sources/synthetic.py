"""Synthetic source: generated networks, drawn by this package, in any number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from rewardmap_verl.drawing import CellStyle, DrawnMap, MapStyle, draw_cells, draw_map
from rewardmap_verl.preparation.images import PixelBudget, fit, grid_size
from rewardmap_verl.preparation.sources.base import City, Contents, Rendered
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.micro import MicroSettings, generate_micro_network
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.reader import network_to_json
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

__all__ = ["DrawnPicture", "read_synthetic"]

_FIRST_TEST_INDEX = 1_000_000  # so that the test networks do not depend on the training maps


@dataclass(frozen=True, slots=True)
class DrawnPicture:
    """A map that is drawn from a placed network."""

    placed: PlacedNetwork
    style: MapStyle | CellStyle

    def identity(self) -> str:
        """Return a hash of the network, its placement and the style."""
        content = json.dumps(
            [
                network_to_json(self.placed.network),
                self.placed.positions,
                self.placed.courses,
                self.placed.title,
                self.placed.grain,
                self.style.model_dump(mode="json"),
            ]
        )
        return f"drawn {hashlib.sha256(content.encode()).hexdigest()}"

    def effort(self) -> int:
        """Return the number of stops."""
        return len(self.placed.network.stops)

    def render(self, budget: PixelBudget) -> Rendered:
        """Draw the map and resize it to the budget, with its positions.

        It is drawn at its natural size, or larger if the budget requires more pixels.
        """
        drawn = _drawn(self.placed, self.style)
        where = f"{self.placed.network.country}/{self.placed.network.city}"
        width, _ = grid_size(*drawn.size, budget, where)
        larger = width > drawn.size[0]
        image = fit(drawn.image_at(width) if larger else drawn.image, budget, where)
        across, down = image.width / drawn.image.width, image.height / drawn.image.height
        positions = {name: _scaled(value, across, down) for name, value in drawn.to_json().items()}
        return Rendered(image, positions)


def read_synthetic(
    seed: int,
    train_maps: int,
    test_maps: int,
    settings: SyntheticSettings | MicroSettings,
    style: MapStyle | CellStyle,
) -> Contents:
    """Generate networks for training and for testing.

    Args:
        seed: Each network is a function of the seed, its number and the settings.
        train_maps: Number of training maps; a larger number does not change the first ones.
        test_maps: Number of test maps.
        settings: Parameters of the networks.
        style: Drawing style of the maps.
    """
    numbered = [("train", i) for i in range(train_maps)]
    numbered += [("test", _FIRST_TEST_INDEX + i) for i in range(test_maps)]
    placed = [(split, _generated(seed, index, settings)) for split, index in numbered]
    grades = grade_maps(place.network for _, place in placed)
    cities = (
        City(
            place.network,
            grades[place.network.country, place.network.city],
            (split,),
            DrawnPicture(place, style),
        )
        for split, place in placed
    )
    return Contents(tuple(sorted(cities, key=lambda city: city.key)))


def _generated(seed: int, index: int, settings: SyntheticSettings | MicroSettings) -> PlacedNetwork:
    if isinstance(settings, MicroSettings):
        return generate_micro_network(seed, index, settings)
    return generate_network(seed, index, settings)


def _drawn(placed: PlacedNetwork, style: MapStyle | CellStyle) -> DrawnMap:
    return draw_cells(placed, style) if isinstance(style, CellStyle) else draw_map(placed, style)


def _scaled(value: object, across: float, down: float) -> object:
    """Scale all points (x, y) and boxes (x, y, x, y) in nested JSON-compatible data."""
    if isinstance(value, dict):
        return {key: _scaled(item, across, down) for key, item in value.items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    if value and all(isinstance(item, int | float) for item in value):
        return [round(item * (down if i % 2 else across), 2) for i, item in enumerate(value)]
    return [_scaled(item, across, down) for item in value]
