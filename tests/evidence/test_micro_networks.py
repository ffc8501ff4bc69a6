"""Micro networks: connected, unambiguous and deterministic."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import networkx as nx
import pytest
from pydantic import ValidationError

from benchmarks.evidence.micro_networks import LETTERS, MicroSettings, generate_micro_network
from rewardmap_verl.errors import ConfigError

SETTINGS = MicroSettings()
PLACED = [generate_micro_network(3, index, SETTINGS) for index in range(60)]


def test_lines_are_chains_of_adjacent_cells() -> None:
    for placed in PLACED:
        for line in placed.network.lines:
            cells = [placed.positions[stop] for stop in line.listed]
            assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for a, b in pairwise(cells))
            assert all(0 <= x < 5 and 0 <= y < 4 for x, y in cells)
            assert 3 <= len(cells) == len(set(cells)) <= 4


def test_networks_are_connected_and_no_track_is_shared() -> None:
    for placed in PLACED:
        edges = [frozenset(pair) for line in placed.network.lines for pair in pairwise(line.listed)]
        assert len(edges) == len(set(edges))
        assert nx.is_connected(nx.Graph([tuple(edge) for edge in edges]))


def test_each_later_line_meets_the_earlier_ones_once() -> None:
    for placed in PLACED:
        lines = placed.network.lines
        assert len(placed.network.interchanges()) == len(lines) - 1
        assert max(len(stop.lines) for stop in placed.network.stops) == 2


def test_letters_and_colors_are_not_repeated() -> None:
    for placed in PLACED:
        names = [stop.name for stop in placed.network.stops]
        assert len(set(names)) == len(names)
        assert set(names) <= set(LETTERS)
        assert len({line.name for line in placed.network.lines}) == len(placed.network.lines)


def test_sizes_vary_within_the_settings() -> None:
    assert set(Counter(len(placed.network.lines) for placed in PLACED)) == {2, 3}


def test_a_network_is_a_function_of_seed_and_index() -> None:
    assert generate_micro_network(3, 7, SETTINGS) == PLACED[7]
    assert generate_micro_network(4, 7, SETTINGS) != PLACED[7]


@pytest.mark.parametrize(
    "wrong",
    [
        {"fewest_lines": 3, "most_lines": 2},
        {"fewest_stops": 5, "most_stops": 4},
        {"most_lines": 6, "colors": 5},
        {"letters": 8},
        {"widht": 5},
    ],
)
def test_inconsistent_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        MicroSettings(**wrong)


def test_a_grid_that_is_too_small_is_an_error() -> None:
    settings = MicroSettings(width=2, height=2, fewest_lines=3)
    with pytest.raises(ConfigError, match="Use a larger grid"):
        generate_micro_network(1, 0, settings)
