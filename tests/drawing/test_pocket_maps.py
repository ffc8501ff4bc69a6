"""Pocket networks and their drawing: what the embedded model can rely on."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from rewardmap_verl.drawing.pocket_map import PocketStyle, draw_pocket_map
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.transit.synthesis.pocket_networks import (
    STOP_NAMES,
    PocketSettings,
    generate_pocket_network,
)

SETTINGS = PocketSettings()
STYLE = PocketStyle()


@pytest.fixture(scope="module")
def networks() -> list[PlacedNetwork]:
    return [generate_pocket_network(5, i, SETTINGS) for i in range(60)]


def test_a_network_is_a_function_of_seed_and_index(networks: list[PlacedNetwork]) -> None:
    assert generate_pocket_network(5, 7, SETTINGS) == networks[7]
    assert generate_pocket_network(6, 7, SETTINGS) != networks[7]


def test_lines_are_short_chains_of_adjacent_cells_that_never_turn_back(
    networks: list[PlacedNetwork],
) -> None:
    for placed in networks:
        for ((path,),) in zip(placed.courses, strict=True):
            assert SETTINGS.stops[0] <= len(path) <= SETTINGS.stops[1]
            steps = {(bx - ax, by - ay) for (ax, ay), (bx, by) in pairwise(path)}
            assert all(max(abs(x), abs(y)) == 1 for x, y in steps)
            assert all(x == 1 for x, _ in steps) or all(y == 1 for _, y in steps)


def test_stops_stay_in_the_grid_and_share_no_cell_and_no_name(
    networks: list[PlacedNetwork],
) -> None:
    for placed in networks:
        assert len(set(placed.positions)) == len(placed.positions)
        assert all(0 <= x < 8 and 0 <= y < 6 for x, y in placed.positions)
        names = [stop.name for stop in placed.network.stops]
        assert len(set(names)) == len(names)
        assert set(names) <= set(STOP_NAMES)


def test_there_is_one_route_between_any_two_stops(networks: list[PlacedNetwork]) -> None:
    for placed in networks[:10]:
        planner = Planner(placed.network)
        for first, second in combinations(range(len(placed.network.stops)), 2):
            assert len(planner.best_plans(first, second, 4)) == 1


def test_two_lines_at_most_meet_in_a_stop_and_no_tracks_cross(
    networks: list[PlacedNetwork],
) -> None:
    for placed in networks:
        assert all(len(stop.lines) <= 2 for stop in placed.network.stops)
        middles = [
            (ax + bx, ay + by)
            for ((path,),) in zip(placed.courses, strict=True)
            for (ax, ay), (bx, by) in pairwise(path)
        ]
        assert len(set(middles)) == len(middles)


def test_harder_maps_have_more_lines(networks: list[PlacedNetwork]) -> None:
    grades = grade_maps(placed.network for placed in networks)
    lines = {
        level: [
            len(p.network.lines) for p in networks if grades["synthetic", p.network.city] == level
        ]
        for level in ("easy", "middle", "hard")
    }
    assert max(lines["easy"]) <= min(lines["middle"]) + 1
    assert sum(lines["easy"]) < sum(lines["middle"]) < sum(lines["hard"])


@pytest.mark.parametrize(
    "wrong", [{"lines": (1, 3)}, {"lines": (5, 3)}, {"colors": 4}, {"stops": (3, 20)}]
)
def test_inconsistent_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"line|stop|minimum|less than"):
        PocketSettings(**wrong)  # type: ignore[arg-type]


def test_a_grid_that_is_too_small_is_an_error() -> None:
    with pytest.raises(ConfigError, match="larger grid"):
        generate_pocket_network(1, 0, PocketSettings(width=3, height=3, lines=(5, 5)))


def test_each_stop_is_drawn_in_its_cell_in_the_colors_of_its_lines(
    networks: list[PlacedNetwork],
) -> None:
    for placed in networks[:5]:
        drawn = draw_pocket_map(placed, STYLE)
        assert drawn.size == (8 * 28, 6 * 28)
        pixels = np.asarray(drawn.image)
        for stop, (x, y) in zip(placed.network.stops, placed.positions, strict=True):
            cell = pixels[y * 28 : (y + 1) * 28, x * 28 : (x + 1) * 28].reshape(-1, 3).astype(int)
            for line in placed.network.lines:
                color = [int((line.color or "")[i : i + 2], 16) for i in (1, 3, 5)]
                present = (abs(cell - color).sum(1) < 12).sum() > 20
                assert present or line.name not in stop.lines


def test_names_fit_on_their_plates(networks: list[PlacedNetwork]) -> None:
    for placed in networks:
        for box in draw_pocket_map(placed, STYLE).labels:
            left, right = min(x for x, _ in box.corners), max(x for x, _ in box.corners)
            assert right - left <= STYLE.plate_width * STYLE.cell


def test_a_network_larger_than_the_image_is_an_error(networks: list[PlacedNetwork]) -> None:
    with pytest.raises(ConfigError, match="as large as the network"):
        for placed in networks:
            draw_pocket_map(placed, PocketStyle(columns=4, rows=3))
