"""Generated networks: the same everywhere, connected, of the wished size, named apart."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import networkx as nx
import pytest
from pydantic import ValidationError

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.names import normalise
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthetic import (
    SyntheticSettings,
    generate_network,
    standard_settings,
    tiny_settings,
)

PRESETS = {"tiny": tiny_settings(), "standard": standard_settings()}


def graph_of(placed: PlacedNetwork) -> nx.Graph:
    graph = nx.Graph()
    graph.add_nodes_from(range(len(placed.network.stops)))
    for line in placed.network.lines:
        for path in line.paths:
            nx.add_path(graph, path)
    return graph


@pytest.fixture(scope="module", params=PRESETS)
def sample(request: pytest.FixtureRequest) -> tuple[SyntheticSettings, list[PlacedNetwork]]:
    settings = PRESETS[request.param]
    return settings, [generate_network(11, index, settings) for index in range(12)]


def test_sizes_lie_in_the_wished_ranges(sample):
    settings, networks = sample
    for placed in networks:
        lines = len(placed.network.lines)
        assert settings.lines[0] <= lines <= settings.lines[1]
        most = max(settings.stops[1], 3 * lines)
        assert settings.stops[0] <= len(placed.network.stops) <= most


def test_every_network_is_connected(sample):
    for placed in sample[1]:
        assert nx.is_connected(graph_of(placed))


def test_stops_and_lines_agree(sample):
    for placed in sample[1]:
        network = placed.network
        for stop in network.stops:
            expected = tuple(line.name for line in network.lines if stop.index in line.listed)
            assert stop.lines == expected and expected
        for line in network.lines:
            assert {i for path in line.paths for i in path} == set(line.listed)


def test_courses_pass_the_stops_of_their_line_in_order(sample):
    for placed in sample[1]:
        for line, courses in zip(placed.network.lines, placed.courses, strict=True):
            for path, course in zip(line.paths, courses, strict=True):
                called = {placed.positions[i] for i in path}
                passed = [point for point in course if point in called]
                assert passed == [placed.positions[i] for i in path]


def test_steps_are_octilinear_and_bends_at_most_square(sample):
    for placed in sample[1]:
        for course in (path for paths in placed.courses for path in paths):
            steps = [(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(course)]
            assert all(max(abs(dx), abs(dy)) == 1 for dx, dy in steps)
            pairs = itertools.pairwise(steps)
            assert all(a[0] * b[0] + a[1] * b[1] >= 0 for a, b in pairs)


def test_lines_that_meet_share_a_stop_there(sample):
    """Two lines on one node always call there, unless both run on the same track."""
    for placed in sample[1]:
        stops = set(placed.positions)
        users: dict = {}
        for line, paths in enumerate(placed.courses):
            for course in paths:
                for i, node in enumerate(course):
                    around = frozenset(course[max(0, i - 1) : i + 2])
                    users.setdefault(node, {}).setdefault(around, set()).add(line)
        for node, ways in users.items():
            assert len(ways) == 1 or node in stops


def test_names_stay_apart(sample):
    for placed in sample[1]:
        keys = [normalise(stop.name) for stop in placed.network.stops]
        assert len(set(keys)) == len(keys) and all(keys)
        assert len({line.name for line in placed.network.lines}) == len(placed.network.lines)
        assert len({line.color for line in placed.network.lines}) == len(placed.network.lines)


def test_same_seed_same_network_in_another_process():
    code = (
        "from rewardmap_verl.transit.synthetic import *;"
        "print(repr(generate_network(5, 3, standard_settings())))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1] == repr(generate_network(5, 3, standard_settings())) + "\n"


def test_other_seeds_and_indexes_give_other_networks():
    cities = [generate_network(s, i, tiny_settings()) for s in (1, 2) for i in range(4)]
    assert len({placed.network.city for placed in cities}) == 8
    assert len({placed.courses for placed in cities}) == 8


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lines": (1, 3)}, "lines must lie within"),
        ({"lines": (2, 40)}, "lines must lie within"),
        ({"stops": (2, 3)}, "stops must lie within"),
        ({"stops": (90, 30)}, "smaller number comes first"),
        ({"lines": (10, 12), "stops": (10, 20)}, "at least three stops"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_wrong_settings_are_named(wrong, says):
    with pytest.raises(ValidationError, match=says):
        SyntheticSettings(**wrong)


def test_a_network_that_cannot_be_is_an_error_with_a_way_out():
    crammed = SyntheticSettings(lines=(20, 20), stops=(60, 60), express=(0, 0))
    with pytest.raises(ConfigError, match="20 lines and 60 stops"):
        generate_network(1, 1, crammed)
