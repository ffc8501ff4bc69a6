"""Drawings of micro networks: one cell per stop, and positions that match the image."""

from __future__ import annotations

import pytest
from PIL import ImageColor

from benchmarks.evidence.cell_drawing import CellStyle, draw_cells
from benchmarks.evidence.micro_networks import MicroSettings, generate_micro_network
from rewardmap_verl.drawing import DrawnMap
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.placement import PlacedNetwork


@pytest.fixture(scope="module")
def maps() -> list[tuple[PlacedNetwork, DrawnMap]]:
    placed = [generate_micro_network(5, index, MicroSettings()) for index in range(12)]
    return [(one, draw_cells(one, CellStyle())) for one in placed]


def _near(drawn: DrawnMap, x: float, y: float, color: str) -> bool:
    found = drawn.image.getpixel((round(x), round(y)))
    wanted = ImageColor.getrgb(color)
    assert isinstance(found, tuple)
    return all(abs(a - b) < 60 for a, b in zip(found, wanted, strict=False))


def test_every_cell_is_one_visual_token(
    maps: list[tuple[PlacedNetwork, DrawnMap]],
) -> None:
    assert {drawn.size for _, drawn in maps} == {(140, 112)}
    for placed, drawn in maps:
        for cell, (x, y) in zip(placed.positions, drawn.stops, strict=True):
            assert (x // 28, y // 28) == cell


def test_rings_have_the_colors_of_the_lines(
    maps: list[tuple[PlacedNetwork, DrawnMap]],
) -> None:
    for placed, drawn in maps:
        colors = {line.name: line.color or "" for line in placed.network.lines}
        for stop, (x, y) in zip(placed.network.stops, drawn.stops, strict=True):
            first, last = colors[stop.lines[0]], colors[stop.lines[-1]]
            assert _near(drawn, x - 8, y + 6, first)
            assert _near(drawn, x + 7, y - 7, last)


def test_letters_are_within_their_boxes(
    maps: list[tuple[PlacedNetwork, DrawnMap]],
) -> None:
    for placed, drawn in maps:
        for stop, label in zip(placed.network.stops, drawn.labels, strict=True):
            (left, bottom), _, (right, top), _ = label.corners
            inside = drawn.image.crop((int(left), int(top), int(right), int(bottom))).convert("L")
            assert label.text == stop.name
            assert inside.getextrema()[0] < 90


def test_a_network_larger_than_the_picture_is_an_error() -> None:
    large = generate_micro_network(1, 0, MicroSettings(width=12, height=12, most_stops=7))
    assert any(x > 1 or y > 1 for x, y in large.positions)
    with pytest.raises(ConfigError, match="as large as the network"):
        draw_cells(large, CellStyle(across=2, down=2))
