"""Networks drawn from their lines alone."""

from __future__ import annotations

import math
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from rewardmap_verl.drawing import schematic
from rewardmap_verl.drawing.schematic import SIDE, Schematic, draw_schematic
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network, read_network


def drawn(lines: dict[str, list[str]]) -> tuple[Network, Schematic]:
    network = parse_network(lines, "Nowhere", "Testville")
    found = draw_schematic(network)
    assert found is not None
    return network, found


CROSS = {
    "Red": ["West", "Nearer West", "Centre", "Nearer East", "East"],
    "Blue": ["North", "Nearer North", "Centre", "Nearer South", "South"],
}


def test_neighbors_are_near_and_ends_are_far() -> None:
    network, found = drawn(CROSS)
    at = {stop.name: found.geometry.stops[stop.index] for stop in network.stops}
    steps = [
        math.dist(found.geometry.stops[a], found.geometry.stops[b])
        for line in network.lines
        for a, b in pairwise(line.paths[0])
    ]
    step = sum(steps) / len(steps)
    assert max(steps) < 1.5 * step and min(steps) > step / 1.5
    assert math.dist(at["West"], at["East"]) > 2.5 * step
    assert math.dist(at["North"], at["South"]) > 2.5 * step
    crossing = {name: math.dist(at["Centre"], at[name]) for name in at if name != "Centre"}
    assert max(crossing[name] for name in crossing if "Nearer" in name) < min(
        crossing[name] for name in crossing if "Nearer" not in name
    )


def test_stops_are_on_the_page_and_apart() -> None:
    _, found = drawn(CROSS)
    assert max(found.width, found.height) == pytest.approx(SIDE, abs=1)
    points = found.geometry.stops
    assert all(0 < x < found.width and 0 < y < found.height for x, y in points)
    assert min(math.dist(a, b) for a, b in combinations(points, 2)) > 5
    assert draw_schematic(found.geometry.network) == found, "the same picture every time"


def test_components_are_side_by_side() -> None:
    network, found = drawn({"Red": ["A", "B", "C"], "Blue": ["X", "Y"]})
    across = {stop.name: found.geometry.stops[stop.index][0] for stop in network.stops}
    assert max(across[name] for name in "ABC") < min(across[name] for name in "XY")


def test_lines_that_share_a_way_run_beside_each_other() -> None:
    _, found = drawn({"Red": ["A", "B", "C"], "Blue": ["A", "B", "C"]})
    (red,), (blue,) = (ways for _, _, ways in found.lines)
    assert all(2.5 < math.dist(a, b) < 3.5 for a, b in zip(red, blue, strict=True))


def test_rides_run_along_the_line() -> None:
    network, found = drawn(CROSS)
    line = network.lines[0]
    way = found.geometry.ride(line, line.paths[0][0], line.paths[0][-1])
    assert way == tuple(found.geometry.stops[i] for i in line.paths[0])


def test_an_endless_network_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schematic, "MOST_STOPS", 8)
    assert draw_schematic(parse_network(CROSS, "Nowhere", "Testville")) is None


@pytest.mark.parametrize("city", ["italy/rome", "switzerland/geneva", "singapore/singapore"])
def test_real_networks_keep_their_distances(shared_data: Path, city: str) -> None:
    network = read_network(shared_data / "stations" / f"{city}.json")
    found = draw_schematic(network)
    assert found is not None
    for line in network.lines:
        path = line.paths[0]
        ends = math.dist(found.geometry.stops[path[0]], found.geometry.stops[path[-1]])
        steps = [
            math.dist(found.geometry.stops[a], found.geometry.stops[b]) for a, b in pairwise(path)
        ]
        assert ends <= sum(steps) + 1e-6
        assert max(steps) < 12 * sum(steps) / len(steps), f"{line.name} jumps"
