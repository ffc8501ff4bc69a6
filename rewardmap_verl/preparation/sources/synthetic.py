"""Synthetic source: generated networks, drawn by this package, in any number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rewardmap_verl.drawing import DrawnMap, MapStyle, draw_map
from rewardmap_verl.drawing.pocket_map import PocketStyle, draw_pocket_map
from rewardmap_verl.preparation.images import PixelBudget, fit, grid_size
from rewardmap_verl.preparation.sources.base import City, Contents, Picture, Rendered
from rewardmap_verl.transit.city_titles import FIRST_TEST_INDEX
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.reader import network_to_json
from rewardmap_verl.transit.synthesis.pocket_networks import (
    PocketSettings,
    generate_pocket_network,
)
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

__all__ = [
    "DrawnPicture",
    "drawing_identity",
    "generated_contents",
    "numbered_maps",
    "read_synthetic",
    "render_drawn",
]


@dataclass(frozen=True, slots=True)
class DrawnPicture:
    """A map that is drawn from its network."""

    placed: PlacedNetwork
    style: MapStyle | PocketStyle

    def identity(self) -> str:
        """Return a hash of everything that is drawn, and how."""
        return drawing_identity(self.placed, self.style.model_dump(mode="json"))

    def effort(self) -> int:
        """Return the number of stops to draw."""
        return len(self.placed.network.stops)

    def render(self, budget: PixelBudget) -> Rendered:
        """Draw the map on the pixel budget."""
        return render_drawn(_draw(self.placed, self.style), _where(self.placed), budget)


def drawing_identity(placed: PlacedNetwork, style: object) -> str:
    """Hash a placed network with the JSON-able description of how it is drawn."""
    content = json.dumps(
        [
            network_to_json(placed.network),
            placed.positions,
            placed.courses,
            placed.title,
            placed.grain,
            placed.language,
            placed.walks,
            style,
        ]
    )
    return f"drawn {hashlib.sha256(content.encode()).hexdigest()}"


def render_drawn(drawn: DrawnMap, where: str, budget: PixelBudget) -> Rendered:
    """Fit a drawn map to the pixel budget and scale its positions with it.

    The map keeps its natural size unless the budget requires a larger or smaller one.

    Args:
        drawn: The map.
        where: Its "country/city", for errors.
        budget: Limits of the image size.
    """
    width, _ = grid_size(*drawn.size, budget, where)
    image = fit(
        drawn.image_at(width) if width > drawn.size[0] else drawn.image,
        budget,
        where,
    )
    across, down = image.width / drawn.image.width, image.height / drawn.image.height
    positions = {name: _scaled(value, across, down) for name, value in drawn.to_json().items()}
    return Rendered(image, positions, drawn.image)


def read_synthetic(
    seed: int,
    train_maps: int,
    test_maps: int,
    settings: SyntheticSettings | PocketSettings,
    style: MapStyle | PocketStyle,
) -> Contents:
    """Generate networks for training and others for testing.

    Args:
        seed: Every map is a function of the seed, its index and the settings.
        train_maps: Number of training maps; requesting more leaves the first ones unchanged.
        test_maps: Number of held-out maps.
        settings: Shape of the networks.
        style: Style of the maps.
    """
    placed = [
        (split, _generate(seed, index, settings))
        for split, index in numbered_maps(train_maps, test_maps)
    ]
    return generated_contents(placed, lambda one: DrawnPicture(one, style))


def _generate(seed: int, index: int, settings: SyntheticSettings | PocketSettings) -> PlacedNetwork:
    if isinstance(settings, PocketSettings):
        return generate_pocket_network(seed, index, settings)
    return generate_network(seed, index, settings)


def _draw(placed: PlacedNetwork, style: MapStyle | PocketStyle) -> DrawnMap:
    if isinstance(style, PocketStyle):
        return draw_pocket_map(placed, style)
    return draw_map(placed, style)


def numbered_maps(train_maps: int, test_maps: int) -> Iterator[tuple[str, int]]:
    """Yield (split, index) of each map; no index of the test split is ever one of training."""
    yield from (("train", index) for index in range(train_maps))
    yield from (("test", FIRST_TEST_INDEX + index) for index in range(test_maps))


def generated_contents(
    placed: Iterable[tuple[str, PlacedNetwork]], picture: Callable[[PlacedNetwork], Picture]
) -> Contents:
    """Return generated networks, graded by difficulty, as the contents of a source.

    Args:
        placed: (split, network) of each map.
        picture: Returns the picture of a network.
    """
    placed = list(placed)
    grades = grade_maps(one.network for _, one in placed)
    cities = (
        City(
            one.network,
            grades[one.network.country, one.network.city],
            (split,),
            picture(one),
        )
        for split, one in placed
    )
    return Contents(tuple(sorted(cities, key=lambda city: city.key)))


def _where(placed: PlacedNetwork) -> str:
    return f"{placed.network.country}/{placed.network.city}"


def _scaled(value: object, across: float, down: float) -> object:
    """Scale every point (x, y) and box (x, y, x, y) in nested JSON-able data."""
    if isinstance(value, dict):
        return {key: _scaled(item, across, down) for key, item in value.items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    if value and all(isinstance(item, int | float) for item in value):
        return [round(item * (down if i % 2 else across), 2) for i, item in enumerate(value)]
    return [_scaled(item, across, down) for item in value]
