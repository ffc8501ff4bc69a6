"""Station lists: shape, markers, branches, loops, and errors for invalid ones."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.transit import reader
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import (
    network_to_json,
    parse_network,
    read_network,
)

BRANCH = " (Branch-starting Station)"


def parse(lists: Any, city: str = "testville") -> Network:
    return parse_network(lists, "nowhere", city)


def paths(network: Network, line: int = 0) -> list[str]:
    return [" ".join(network.stops[i].name for i in p) for p in network.lines[line].paths]


def test_markers_are_not_part_of_names_and_white_space_is_normalized() -> None:
    network = parse({"1": ["  A\u00a0b (Transfer Station) ", "C（支线起始站） ", "D"]})
    assert [stop.name for stop in network.stops] == ["A b", "C", "D"]
    assert network.stops[0].marked


def test_spellings_of_one_stop_are_collected() -> None:
    network = parse({"1": ["Union Station", "B"], "2": ["Union Station Station", "C"]})
    assert network.stops[0].spellings == ("Union Station", "Union Station Station")
    assert network.stops[0].lines == ("1", "2")


def test_a_list_that_ends_with_its_first_stop_is_a_loop() -> None:
    network = parse({"1": ["A", "B", "C", "a"]})
    assert paths(network) == ["A B C A"]
    assert len(network.stops) == 3
    assert not network.lines[0].doubtful


def test_a_junction_that_is_listed_again_starts_a_branch() -> None:
    network = parse({"1": ["A", "J" + BRANCH, "B", "J" + BRANCH, "C", "D"]})
    assert paths(network) == ["A J B", "J C D"]
    assert network.lines[0].stops == (0, 1, 2, 3, 4)
    assert not network.lines[0].doubtful


def test_two_branches_at_one_junction() -> None:
    network = parse({"1": ["A", "J" + BRANCH, "B", "J", "C", "J", "D"]})
    assert paths(network) == ["A J B", "J C", "J D"]


def test_an_unexplained_branch_makes_the_line_doubtful() -> None:
    network = parse({"1": ["A", "J" + BRANCH, "B", "C"], "2": ["A", "C" + BRANCH]})
    assert network.lines[0].doubtful
    assert not network.lines[1].doubtful  # nothing can be appended after the last stop


def test_a_stop_that_a_line_passes_twice_is_one_stop() -> None:
    network = parse({"1": ["A", "B", "C", "D", "B", "E"]})
    assert paths(network) == ["A B C D B E"]
    assert len(network.stops) == 5


def test_city_notes_apply_where_they_match() -> None:
    lists = {
        "Line B": ["Termini", "Bologna" + BRANCH, "Rebibbia", "S. Agnese Annibaliano", "Jonio"]
    }
    rome = parse_network(lists, "italy", "rome")
    assert paths(rome) == ["Termini Bologna Rebibbia", "Bologna S. Agnese Annibaliano Jonio"]
    assert parse(lists).lines[0].doubtful
    small = parse_network({"Line B": ["Here", "There"]}, "italy", "rome")
    assert paths(small) == ["Here There"]


def test_a_corrected_list_is_read_unchanged() -> None:
    joint = ["Termini", "Bologna", "Rebibbia", "Bologna", "S. Agnese Annibaliano", "Jonio"]
    marked = [name + BRANCH if name == "Bologna" else name for name in joint]
    rome = parse_network({"Line B": marked}, "italy", "rome")
    assert paths(rome) == ["Termini Bologna Rebibbia", "Bologna S. Agnese Annibaliano Jonio"]
    loop = ["西直门站", "积水潭站", "车公庄站"]
    for rows in (loop, [*loop, loop[0]]):
        beijing = parse_network({"Line 2": rows}, "china", "beijing")
        assert paths(beijing) == ["西直门站 积水潭站 车公庄站 西直门站"]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ([], ["nowhere/testville", "object"]),
        ({}, ["object"]),
        ("text", ["found 'text'"]),
        ({"1": "A"}, ["1", "list of 2 to"]),
        ({"1": ["A"]}, ["found ['A']"]),
        ({"1": {"A": 1}}, ["list of 2 to"]),
        ({"1": ["A", 7]}, ["1, stop 2", "found 7"]),
        ({"1": ["A", None]}, ["1, stop 2", "A name has 1 to 200 characters"]),
        ({"1": ["A", " "]}, ["1, stop 2", "found ' '"]),
        ({"1": ["A", "(Transfer Station)"]}, ["1, stop 2"]),
        ({"1": ["A", "x" * 500]}, ["1, stop 2", "…"]),
        ({"": ["A", "B"]}, ["line name"]),
        ({"1": ["A", "a Station", "B"]}, ["1, stop 2", "twice in a row"]),
        ({"Line 1": ["A", "B"], "1号线": ["C", "D"]}, ["1号线", "same line as 'Line 1'"]),
        ({"1": ["A", "<image>"]}, ["1, stop 2", "control characters"]),
        ({"1": ["A", "B\nC"]}, ["1, stop 2", "control characters"]),
        ({"1": ["A", "B\ud800"]}, ["1, stop 2", "control characters"]),
        ({str(i): ["A", "B"] for i in range(501)}, ["lines", "found 501"]),
        ({"1": ["A", "B"] * 1001}, ["2 to 2000"]),
        ({"rewardmap_network": 99}, ["rewardmap_network", "found 99", "again"]),
        ({"rewardmap_network": 1}, ["again"]),
    ],
)
def test_invalid_shapes_are_reported(source: object, parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        parse(source)
    for part in ["nowhere/testville", *parts]:
        assert part in str(caught.value)
    assert len(str(caught.value)) < 600


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "italy" / "rome.json"
    path.parent.mkdir()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_country_and_city_come_from_the_path(tmp_path: Path) -> None:
    network = read_network(write(tmp_path, '{"Line A": ["A", "B"]}'))
    assert (network.country, network.city) == ("italy", "rome")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ('{"1": ["A",\n  "B"}', ["line 2, column 6"]),
        ('{"1": ["A", "B"], "1": ["C", "D"]}', ["1", "same key twice"]),
        (b'{"1": ["\xff"]}', ["byte 8", "UTF-8"]),
        ("", ["The file is empty"]),
        ("[" * 100_000, ["nests too deeply"]),
        ("{} {}", ["line 1, column 4"]),
    ],
)
def test_broken_files_are_reported_with_their_location(
    tmp_path: Path, content: str | bytes, parts: list[str]
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_network(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_missing_file_folder_and_huge_file_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match=r"no\.json.*No such file.*Pass a readable file"):
        read_network(tmp_path / "no.json")
    with pytest.raises(DataError, match="a folder"):
        read_network(tmp_path)
    path = write(tmp_path, '{"Line A": ["A", "B"]}')
    monkeypatch.setattr(reader, "MAX_BYTES", 10)
    with pytest.raises(DataError, match="size: found 22"):
        read_network(path)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    assert read_network(write(tmp_path, b'\xef\xbb\xbf{"1": ["A", "B"]}')).lines[0].name == "1"


def test_the_exact_form_round_trips() -> None:
    network = parse({"1": ["A", "J" + BRANCH, "B", "J", "C"], "2": ["C (Transfer Station)", "D"]})
    copy = parse_network(json.loads(json.dumps(network_to_json(network))), "x", "y")
    assert copy == network


@pytest.mark.parametrize("stop", [-1, 3, True, "0", None])
def test_the_exact_form_is_validated(stop: object) -> None:
    source = network_to_json(parse({"1": ["A", "B", "C"]}))
    source["lines"][0]["listed"][0] = stop
    with pytest.raises(DataError, match="Prepare the data again"):
        parse(source)


def test_errors_survive_pickling() -> None:
    error = DataError("rome.json", "Line B", ["A"], "Fix it.")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "rome.json: Line B: found ['A']. Fix it."
    assert isinstance(copy, ValueError)
