"""The 30 real networks: every stop and line is found by name, and none are confused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from rewardmap_verl.transit.cities import city_notes
from rewardmap_verl.transit.names import line_key, normalize, strip_markers
from rewardmap_verl.transit.network import Line, Network
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.transit.reader import network_to_json, parse_network, read_network


@pytest.fixture(scope="module")
def networks(shared_data: Path) -> dict[str, Network]:
    files = sorted((shared_data / "stations").glob("*/*.json"))
    return {path.stem: read_network(path) for path in files}


@pytest.fixture(scope="module")
def lists(shared_data: Path) -> dict[str, dict[str, list[str]]]:
    files = sorted((shared_data / "stations").glob("*/*.json"))
    return {path.stem: json.loads(path.read_text("utf-8")) for path in files}


def test_there_are_thirty_networks(networks: dict[str, Network]) -> None:
    assert len(networks) == 30


def test_every_listed_spelling_means_the_listed_stop(
    networks: dict[str, Network], lists: dict[str, dict[str, list[str]]]
) -> None:
    settled = set()
    for city, network in networks.items():
        for line in network.lines:
            for position, row in enumerate(lists[city][line.name]):
                stop = network.stops[line.listed[position]]
                for text in (row, strip_markers(row)[0], stop.name, row.upper()):
                    assert stop in network.find_stops_on(text, line), (city, line.name, text)
                if network.find_stop_on(row, line) != stop:
                    settled.add((city, line.name, normalize(row)))
    # The only two names that the line does not disambiguate: it calls at both homonyms.
    assert settled == {("new_york", "B", "7 av"), ("new_york", "R", "36 st")}


def test_every_line_is_found_by_its_name(networks: dict[str, Network]) -> None:
    for network in networks.values():
        for line in network.lines:
            for text in (line.name, line.name.lower(), f"**{line.name}**.", *line.aliases):
                assert network.find_line(text) is line, (network.city, text)


def test_only_homonyms_share_a_key(networks: dict[str, Network]) -> None:
    for city, network in networks.items():
        keys = [normalize(stop.name) for stop in network.stops]
        doubled = {key for key in keys if keys.count(key) > 1}
        noted = {normalize(n) for n in city_notes(network.country, city).separate}
        assert doubled == noted


def test_aliases_do_not_shadow_other_names(networks: dict[str, Network]) -> None:
    for network in networks.values():
        for stop in network.stops:
            for alias in stop.aliases:
                assert network.find_stops(alias) == (stop,), (network.city, alias)
        keys = [line_key(text) for line in network.lines for text in (line.name, *line.aliases)]
        assert len(set(keys)) == len(keys)


def test_every_note_applies_to_its_city(networks: dict[str, Network]) -> None:
    for city, network in networks.items():
        notes = city_notes(network.country, city)
        named = [*notes.separate, *notes.stop_aliases, *(n for group in notes.same for n in group)]
        for name in named:
            assert network.find_stops(name), (city, name)
        for name in (*notes.loops, *notes.branches, *notes.line_aliases):
            assert network.line(name)
        for name, groups in notes.separate.items():
            stops = network.find_stops(name)
            assert len(stops) == len(groups), (city, name)
            said = sorted(member.split(":")[0] for group in groups for member in group)
            assert said == sorted(line for stop in stops for line in stop.lines), (city, name)


def test_spelling_variants_are_one_stop(networks: dict[str, Network]) -> None:
    for city, variants in {
        "beijing": ("西单", "西单站"),
        "los_angeles": ("Union Station Station", "Union Station"),
        "changsha": ("长沙火车南站站", "长沙火车南站"),
        "new_york": ("14 St-Union Sq Station Station", "14 Street - Union Square"),
        "washington": ("Shaw-Howard U", "Shaw - Howard U Station"),
    }.items():
        found = [networks[city].find_stops(text) for text in variants]
        assert len(found[0]) == 1
        assert found[0] == found[1]
    tokyo = networks["los_angeles"].find_stops("Little Tokyo/Arts District")
    assert tokyo[0].lines == ("Line A", "Line E")
    central = networks["new_york"].find_stops("Grand Central-42 St")
    assert central[0].lines == ("4", "5", "6", "7")


def test_misprints_match_in_both_spellings(networks: dict[str, Network]) -> None:
    dubai = networks["dubai"]
    assert dubai.find_stops("Ibn Battuta Station") == dubai.find_stops("lbn Battuta Station")
    assert dubai.find_stops("UAE Exchange") == dubai.find_stops("UAE Exchange Staton")
    assert networks["beijing"].find_stops("东管头南")[0].lines == ("Line 16", "房山线")
    assert networks["auckland"].find_stops("Britomart") == networks["auckland"].find_stops(
        "Waitemata Station"
    )


def test_city_names_of_lines_belong_to_their_city(networks: dict[str, Network]) -> None:
    beijing = networks["beijing"].find_line("八通线")
    assert beijing is not None
    assert beijing.name == "Line 1"
    assert networks["shanghai"].find_line("八通线") is None
    green = networks["miami"].find_line("Green Line")
    assert green is not None
    assert green.name == "Metrorail Green Line"


def test_homonyms_of_new_york(networks: dict[str, Network]) -> None:
    network = networks["new_york"]
    assert {stop.lines for stop in network.find_stops("86 St")} == {
        ("1",),
        ("4", "5", "6"),
        ("B", "C"),
        ("N",),
        ("Q",),
        ("R",),
    }
    fourth = network.find_stop_on("86th Street", network.line("4"))
    assert fourth is not None
    assert fourth.lines == ("4", "5", "6")
    assert [stop.lines for stop in network.find_stops("7 Av")] == [
        ("B", "D", "E"),
        ("B", "Q"),
        ("F", "G"),
    ]
    b = network.line("B")
    seventh = [i for i in b.listed if network.stops[i].name == "7 Av Station"]
    assert len(set(seventh)) == 2


def edges(line: Line) -> set[frozenset[int]]:
    return {frozenset(pair) for path in line.paths for pair in pairwise(path)}


@pytest.mark.parametrize(
    ("city", "line", "neighbors", "strangers"),
    [
        (
            "rome",
            "Line B",
            ("Bologna", "S. Agnese Annibaliano"),
            ("Rebibbia", "S. Agnese Annibaliano"),
        ),
        ("dubai", "Red Line", ("Jabal Ali", "lbn Battuta"), ("Expo 2020", "lbn Battuta")),
        ("singapore", "Circle Line", ("Promenade", "Bayfront"), ("Dhoby Ghaut", "Bayfront")),
        ("oslo", "Line 5", ("Ullevål stadion", "Berg"), ("Sinsen", "Berg")),
        ("dalian", "Line 3", ("开发区", "通世泰"), ("金石滩", "通世泰")),
        ("hangzhou", "Line 3", ("西溪湿地南", "留下"), ("吴山前村", "留下")),
        ("hangzhou", "Line 6", ("美院象山", "霞鸣街"), ("枸桔弄", "双浦")),
        ("hefei", "Line 4", ("北雁湖", "复兴集"), ("综保区", "复兴集")),
        ("kunming", "Line 1", ("春融街", "市级行政中心"), ("大学城南", "市级行政中心")),
        ("shanghai", "Line 5", ("东川路", "江川路"), ("闵行开发区", "江川路")),
        ("shanghai", "Line 10", ("龙溪路", "龙柏新村"), ("基隆路", "龙柏新村")),
        ("shanghai", "Line 11", ("嘉定新城", "上海赛车场"), ("迪士尼", "上海赛车场")),
        ("shanghai", "Line 4", ("上海体育馆", "宜山路"), ("宜山路", "临平路")),
        ("beijing", "Line 2", ("车公庄", "西直门"), ("西直门", "前门")),
        ("beijing", "Line 10", ("火器营", "巴沟"), ("巴沟", "车道沟")),
    ],
)
def test_branches_and_loops(
    networks: dict[str, Network],
    city: str,
    line: str,
    neighbors: tuple[str, str],
    strangers: tuple[str, str],
) -> None:
    network = networks[city]
    found = network.line(line)

    def edge(names: tuple[str, str]) -> frozenset[int]:
        return frozenset(network.find_stops(name)[0].index for name in names)

    assert edge(neighbors) in edges(found)
    assert edge(strangers) not in edges(found)


def test_no_real_line_is_doubtful_and_paths_cover_the_lists(
    networks: dict[str, Network],
) -> None:
    for network in networks.values():
        for line in network.lines:
            assert not line.doubtful
            assert {stop for path in line.paths for stop in path} == set(line.listed)


def test_every_network_is_connected(networks: dict[str, Network]) -> None:
    for network in networks.values():
        planner = Planner(network)
        reached = [planner.fewest_transfers(0, stop.index) for stop in network.stops[1:]]
        assert None not in reached, network.city


def test_all_real_networks_round_trip(networks: dict[str, Network]) -> None:
    for network in networks.values():
        assert parse_network(network_to_json(network), "", "") == network
