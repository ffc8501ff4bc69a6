"""Layout of a network by the coordinates of its stops."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations, pairwise

import pytest

from rewardmap_verl.drawing import (
    draw_map,
    geographic_layout,
    layout_from_coordinates,
    standard_style,
)
from rewardmap_verl.errors import DataError
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

Coordinates = list[tuple[float, float]]


def make_network(*lines: Sequence[Sequence[int]]) -> Network:
    """Return a network of lines, each given by its paths."""
    names = [f"Line {n + 1}" for n in range(len(lines))]
    calls = [{stop for path in paths for stop in path} for paths in lines]
    stops = tuple(
        Stop(i, f"Stop {chr(65 + i)}", (f"Stop {chr(65 + i)}",), tuple(served))
        for i in range(1 + max(set().union(*calls)))
        if (served := [n for n, called in zip(names, calls, strict=True) if i in called])
    )
    built = tuple(
        Line(name, tuple(s for path in paths for s in path), tuple(tuple(path) for path in paths))
        for name, paths in zip(names, lines, strict=True)
    )
    return Network("nowhere", "Testing", stops, built)


def as_on_earth(placed: PlacedNetwork, seed: int) -> Coordinates:
    """Return noisy positions with distant suburbs, as latitude and longitude."""
    rng = random.Random(seed)
    left, top, right, bottom = placed.extent()
    found = []
    for x, y in placed.positions:
        dx = x - (left + right) / 2 + rng.uniform(-0.6, 0.6)
        dy = y - (top + bottom) / 2 + rng.uniform(-0.6, 0.6)
        far = 1 + (dx * dx + dy * dy) ** 0.5 / 12
        found.append((48.0 - dy * far / 100, 11.0 + dx * far / 67))
    return found


def assert_true_of_network(placed: PlacedNetwork) -> None:
    assert len(set(placed.positions)) == len(placed.network.stops)
    for line, courses in zip(placed.network.lines, placed.courses, strict=True):
        for path, course in zip(line.paths, courses, strict=True):
            nodes = iter(course)
            assert all(placed.positions[stop] in nodes for stop in path), line.name
            assert course[0] == placed.positions[path[0]]
            assert course[-1] == placed.positions[path[-1]]


def is_octilinear(placed: PlacedNetwork) -> bool:
    steps = [
        (abs(b[0] - a[0]), abs(b[1] - a[1]))
        for paths in placed.courses
        for course in paths
        for a, b in pairwise(course)
    ]
    return all(step in {(0, 1), (1, 0), (1, 1)} for step in steps)


@pytest.fixture(scope="module")
def cities() -> list[tuple[PlacedNetwork, Coordinates]]:
    settings = SyntheticSettings(lines=(4, 6), stops=(30, 45), branches=(1, 1), express=(1, 1))
    networks = [generate_network(8, index, settings) for index in range(3)]
    return [(placed, as_on_earth(placed, n)) for n, placed in enumerate(networks)]


def test_layouts_are_octilinear_and_match_the_network(cities):
    for original, coordinates in cities:
        placed = layout_from_coordinates(original.network, coordinates)
        assert_true_of_network(placed)
        assert is_octilinear(placed)


def test_layouts_leave_room_for_every_label(cities):
    original, coordinates = cities[0]
    placed = layout_from_coordinates(original.network, coordinates, "By coordinates")
    drawn = draw_map(placed, standard_style())
    assert drawn.crowded == ()
    assert "By coordinates" in drawn.svg()
    for stop, calls in zip(placed.network.stops, drawn.calls, strict=True):
        assert set(calls) == set(stop.lines)


def test_compass_directions_are_kept(cities):
    """Of two distant stops, the northern one stays north and the eastern one east."""
    for original, coordinates in cities:
        placed = layout_from_coordinates(original.network, coordinates)
        latitudes, longitudes = zip(*coordinates, strict=True)
        tall, wide = max(latitudes) - min(latitudes), max(longitudes) - min(longitudes)
        kept = []
        for a, b in combinations(range(len(coordinates)), 2):
            (ax, ay), (bx, by) = placed.positions[a], placed.positions[b]
            if abs(latitudes[a] - latitudes[b]) > tall / 3:
                kept.append((latitudes[a] < latitudes[b]) == (ay > by))
            if abs(longitudes[a] - longitudes[b]) > wide / 3:
                kept.append((longitudes[a] < longitudes[b]) == (ax < bx))
        assert sum(kept) > 0.95 * len(kept)


def test_same_coordinates_same_layout(cities):
    original, coordinates = cities[1]
    first = layout_from_coordinates(original.network, coordinates)
    assert layout_from_coordinates(original.network, list(coordinates)) == first


def test_an_express_line_follows_the_local_line():
    network = make_network([range(7)], [(0, 3, 6)], [(3, 7)])
    coordinates = [(0.0, n / 100) for n in range(7)] + [(0.05, 0.03)]
    placed = layout_from_coordinates(network, coordinates)
    assert placed.courses[1] == placed.courses[0]
    drawn = draw_map(placed, standard_style())
    assert [set(calls) for calls in drawn.calls][1] == {"Line 1"}


def test_no_line_passes_through_a_junction_without_calling():
    """Line 3 crosses at the stop that line 2 skips, so line 2 goes around it."""
    network = make_network([range(5)], [(0, 4)], [(5, 2, 6)])
    coordinates = [(0.0, n / 100) for n in range(5)] + [(0.02, 0.02), (-0.02, 0.02)]
    placed = layout_from_coordinates(network, coordinates)
    assert_true_of_network(placed)
    assert placed.positions[2] not in placed.courses[1][0]


def test_a_distant_express_line_gets_separate_track():
    network = make_network([(0, 1, 2)], [(0, 2)])
    placed = layout_from_coordinates(network, [(0.0, 0.0), (0.05, 0.03), (0.0, 0.06)])
    assert placed.positions[1] not in placed.courses[1][0]


def test_a_loop_is_closed():
    ring = (*range(8), 0)
    angles = [(0.0, 2), (1, 1), (2, 0), (1, -1), (0, -2), (-1, -1), (-2, 0), (-1, 1)]
    network = make_network([ring])
    placed = layout_from_coordinates(network, [(a / 50, b / 50) for a, b in angles])
    assert_true_of_network(placed)
    assert is_octilinear(placed)


def test_a_horseshoe_line_keeps_its_shape():
    network = make_network([range(9)])
    shape = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (2, 2), (1, 2), (0, 2)]
    placed = layout_from_coordinates(network, [(a / 50, b / 50) for a, b in shape])
    ys = [y for _, y in placed.positions]
    assert min(ys) == min(ys[3:6]) and ys[0] - min(ys) > 2 and ys[8] - min(ys) > 2


def test_stops_with_equal_coordinates_are_separated():
    network = make_network([(0, 1, 2)], [(3, 1, 4)])
    same = [(50.0, 8.0)] * 5
    placed = layout_from_coordinates(network, same)
    assert_true_of_network(placed)


def test_separate_lines_need_not_meet():
    network = make_network([(0, 1, 2)], [(3, 4, 5)])
    coordinates = [(0.0, 0.0), (0.0, 0.1), (0.0, 0.2), (0.1, 0.0), (0.1, 0.1), (0.1, 0.2)]
    placed = layout_from_coordinates(network, coordinates)
    assert_true_of_network(placed)
    assert not set(placed.courses[0][0]) & set(placed.courses[1][0])


def test_the_fallback_layout_is_straight_and_matches_the_network(cities, monkeypatch):
    monkeypatch.setattr(geographic_layout, "_STEPS_PER_STOP", ())
    original, coordinates = cities[0]
    placed = layout_from_coordinates(original.network, coordinates)
    assert_true_of_network(placed)
    drawn = draw_map(placed, standard_style())
    assert len(drawn.labels) == len(placed.network.stops)


def test_lines_without_a_color_get_distinct_colors():
    network = make_network([(0, 1)], [(1, 2)], [(2, 3)])
    placed = layout_from_coordinates(network, [(0.0, n / 10) for n in range(4)])
    colors = draw_map(placed, standard_style()).colors
    assert len(set(colors)) == 3


@pytest.mark.parametrize(
    ("coordinates", "says"),
    [
        ([(0.0, 0.0)], "1 for 3 stops"),
        ([(0.0, 0.0), (91.0, 0.0), (0.0, 1.0)], "Stop B"),
        ([(0.0, 0.0), (0.0, 0.1), (0.0, 181.0)], "Stop C"),
        ([(float("nan"), 0.0), (0.0, 0.1), (0.0, 0.2)], "Stop A"),
    ],
)
def test_invalid_coordinates_are_reported(coordinates, says):
    with pytest.raises(DataError, match=says):
        layout_from_coordinates(make_network([(0, 1, 2)]), coordinates)


def test_the_fallback_layout_spreads_the_center():
    spread = geographic_layout._even_out([0.0, 1.0, 2.0, 100.0])
    assert spread == sorted(spread)
    assert (spread[0], spread[-1]) == (0.0, 100.0)
    assert spread[1] - spread[0] > 10
    assert geographic_layout._even_out([3.0, 3.0]) == [3.0, 3.0]
