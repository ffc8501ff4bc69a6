"""Lookup of stops and lines by the spellings that people and models use."""

from __future__ import annotations

import pickle

import pytest

from rewardmap_verl.transit.network import LONGEST_NAME, Network
from rewardmap_verl.transit.reader import parse_network


@pytest.fixture
def network() -> Network:
    return parse_network(
        {
            "Line 1": ["Ada Station", "Bell Station (Transfer Station)", "Cole (Docks) Station"],
            "Line 2": ["Dora Station", "Bell Station", "Docks East Station"],
            "Azul": ["Ada Metro Park Station", "Dora Station"],
        },
        "nowhere",
        "testville",
    )


def names(network: Network, text: str) -> list[str]:
    return [stop.name for stop in network.find_stops(text)]


def test_stops_list_their_lines_and_interchanges_have_several(network: Network) -> None:
    assert [stop.name for stop in network.interchanges()] == ["Bell Station", "Dora Station"]
    assert network.find_stops("bell")[0].lines == ("Line 1", "Line 2")
    assert network.find_stops("bell")[0].marked
    assert not network.find_stops("dora")[0].marked


def test_find_stops_prefers_the_full_name(network: Network) -> None:
    assert names(network, "cole (docks)") == ["Cole (Docks) Station"]
    assert names(network, "Cole") == ["Cole (Docks) Station"]
    assert names(network, "Docks") == ["Cole (Docks) Station"]
    assert names(network, "Docks East") == ["Docks East Station"]
    assert names(network, "Ada Metro Station") == ["Ada Station"]
    assert names(network, "Ada Metro Park") == ["Ada Metro Park Station"]
    assert names(network, "Adam") == []


@pytest.mark.parametrize("text", ["", "  ", "()", "--", "Station", "\ud800", "\0", "🚇"])
def test_unknown_texts_find_nothing(network: Network, text: str) -> None:
    assert network.find_stops(text) == ()
    assert network.find_line(text) is None


def test_overlong_texts_are_not_looked_up(network: Network) -> None:
    assert network.find_stops(" " * LONGEST_NAME + "Ada") == ()
    assert network.find_line(" " * LONGEST_NAME + "1") is None
    assert names(network, " " * (LONGEST_NAME - 3) + "Ada") == ["Ada Station"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Line 1", "Line 1"),
        ("1号线", "Line 1"),
        ("Metro Line 2 (Red)", "Line 2"),
        ("azul.", "Azul"),
        ("Line 3", None),
        ("Line 12", None),
        ("1, 2", None),
        ("Line", None),
    ],
)
def test_find_line(network: Network, text: str, line: str | None) -> None:
    found = network.find_line(text)
    assert (found.name if found else None) == line


def test_find_stop_on_requires_that_the_line_calls_there(network: Network) -> None:
    first, second, azul = network.lines
    assert network.find_stop_on("Ada", first) == network.stops[0]
    assert network.find_stop_on("Ada", second) is None
    assert network.find_stop_on("nothing", azul) is None
    assert network.serves(second, 1)
    assert not network.serves(azul, 1)


def test_line_by_exact_name(network: Network) -> None:
    assert network.line("Azul") is network.lines[2]
    with pytest.raises(KeyError):
        network.line("azul")


def test_a_network_is_immutable_hashable_and_picklable(network: Network) -> None:
    network.find_stops("Ada")
    copy = pickle.loads(pickle.dumps(network))
    assert copy == network
    assert hash(copy) == hash(network)
    assert copy.find_stops("Ada") == network.find_stops("Ada")
    with pytest.raises(AttributeError):
        network.city = "elsewhere"  # type: ignore[misc]


def test_the_lookup_cache_is_bounded_and_not_pickled(
    network: Network,
) -> None:
    for number in range(5000):
        network.find_stops(f"stop {number}")
        network.find_line(f"line {number}")
    for cached in (network._cached_stops, network._cached_line):
        assert cached.cache_info().currsize <= 2048  # type: ignore[attr-defined]
    assert len(pickle.dumps(network)) < 5000
    assert names(pickle.loads(pickle.dumps(network)), "bell") == ["Bell Station"]


def test_fewest_legs(network: Network) -> None:
    (ada,), (cole,), (dora,) = (network.find_indexes(name) for name in ("ada", "cole", "dora"))
    assert network.fewest_legs([ada], [ada]) == 0
    assert network.fewest_legs([ada], [cole]) == 1
    assert network.fewest_legs([ada], [dora]) == 2
    assert network.fewest_legs([ada], [dora, cole]) == 1
    assert network.fewest_legs([ada], []) is None
