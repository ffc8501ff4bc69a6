"""Generated networks: reproducible, connected, of the requested size, with distinct names."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from itertools import combinations, pairwise, permutations

import networkx as nx
import pytest
from pydantic import ValidationError

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit import synthetic
from rewardmap_verl.transit.names import normalize
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthesis.name_parts import NAME_PARTS
from rewardmap_verl.transit.synthesis.stop_names import generate_stop_names
from rewardmap_verl.transit.synthetic import (
    SyntheticSettings,
    generate_network,
    settings_at,
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
    return settings, [generate_network(11, index, settings) for index in range(8)]


def test_sizes_are_within_the_requested_ranges(sample):
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
            steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(course)]
            assert all(max(abs(dx), abs(dy)) == 1 for dx, dy in steps)
            pairs = pairwise(steps)
            assert all(a[0] * b[0] + a[1] * b[1] >= 0 for a, b in pairs)


def test_lines_that_meet_share_a_stop_there(sample):
    """Two lines on one node always call there, unless both use the same track."""
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


def test_names_are_distinguishable(sample):
    for placed in sample[1]:
        keys = [normalize(stop.name) for stop in placed.network.stops]
        assert len(set(keys)) == len(keys) and all(keys)
        assert len({line.name for line in placed.network.lines}) == len(placed.network.lines)
        assert len({line.color for line in placed.network.lines}) == len(placed.network.lines)


def test_same_seed_same_network_in_another_process():
    code = (
        "from rewardmap_verl.transit.synthetic import *;"
        "print(repr(generate_network(5, 3, standard_settings())))"
    )
    here = repr(generate_network(5, 3, standard_settings()))
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == here + "\n"


def test_other_seeds_and_indexes_give_other_networks():
    cities = [generate_network(s, i, tiny_settings()) for s in (1, 2) for i in range(4)]
    assert len({placed.network.city for placed in cities}) == 8
    assert len({placed.courses for placed in cities}) == 8


@pytest.mark.parametrize("language", sorted(NAME_PARTS))
def test_every_language_has_names_for_the_largest_network(language):
    names = generate_stop_names(random.Random(1), 401, language)
    keys = [normalize(name) for name in names]
    assert len(set(keys)) == 401 and all(keys)
    assert all(name == name.strip() and len(name) <= 18 for name in names)
    assert generate_stop_names(random.Random(1), 401, language) == names


def test_too_few_names_are_reported():
    with pytest.raises(ConfigError, match="short names for 500"):
        generate_stop_names(random.Random(1), 500, "short")


def test_short_names_suffice_for_the_allowed_stops():
    assert all(len(generate_stop_names(random.Random(n), 41, "short")) == 41 for n in range(50))


@pytest.mark.parametrize("language", ["greek", "french", "short"])
def test_the_city_is_a_plain_file_name(language):
    settings = SyntheticSettings(languages=(language,), stops=(30, 40))
    city = generate_network(2, 5, settings).network.city
    assert city.isascii() and city.replace("_", "").isalnum() and city.endswith("_2_5")


def test_difficulty_scales_the_size():
    levels = [settings_at(knob / 4) for knob in range(5)]
    for easy, hard in pairwise(levels):
        assert easy.lines < hard.lines and easy.stops < hard.stops
        assert easy.express <= hard.express
    assert levels[0].lines[0] == 2 and levels[-1].lines[1] == 20
    assert levels[-1].stops[1] == 400
    with pytest.raises(ConfigError, match="number from 0 to 1"):
        settings_at(1.5)


def test_large_networks_are_generated():
    placed = generate_network(1, 0, settings_at(1.0))
    assert len(placed.network.lines) >= 16 and len(placed.network.stops) >= 260
    assert nx.is_connected(graph_of(placed))


def test_every_line_feature_occurs():
    """Several networks together have loops, branches, shared track and express lines."""
    settings = SyntheticSettings(
        shapes=("ring", "grown"), branches=(1, 2), shared=(1, 2), express=(1, 1), stops=(50, 70)
    )
    seen = set()
    for index in range(6):
        placed = generate_network(1, index, settings)
        paths = [path for line in placed.network.lines for path in line.paths]
        seen |= {"loop"} & ({"loop"} if any(p[0] == p[-1] for p in paths) else set())
        seen |= {"branch" for line in placed.network.lines if len(line.paths) > 1}
        tracks = [set(pairwise(course)) for paths in placed.courses for course in paths]
        seen |= {"shared" for a, b in combinations(tracks, 2) if a & b}
        seen |= {
            "express"
            for (i, a), (j, b) in permutations(enumerate(placed.courses), 2)
            if a[0] == b[0]
            and len(placed.network.lines[i].listed) < len(placed.network.lines[j].listed)
        }
    assert seen == {"loop", "branch", "shared", "express"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lines": (1, 3)}, "lines must be within"),
        ({"lines": (2, 40)}, "lines must be within"),
        ({"stops": (2, 3)}, "stops must be within"),
        ({"stops": (90, 30)}, "minimum must come first"),
        ({"lines": (10, 12), "stops": (10, 20)}, "at least three stops"),
        ({"color": "red"}, "Extra inputs"),
        ({"languages": ("short",)}, "at most 40 stops"),
    ],
)
def test_invalid_settings_are_reported(wrong, says):
    with pytest.raises(ValidationError, match=says):
        SyntheticSettings(**wrong)


def test_an_impossible_network_is_an_error_with_a_fix(monkeypatch):
    monkeypatch.setattr(synthetic, "_ATTEMPTS", 2)
    crammed = SyntheticSettings(lines=(20, 20), stops=(60, 60), express=(0, 0))
    with pytest.raises(ConfigError, match=r"20 lines and 60 stops.*Ask for more stops"):
        generate_network(1, 1, crammed)
