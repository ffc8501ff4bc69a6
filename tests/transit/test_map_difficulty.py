"""Map difficulty: grading, and the names of levels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.transit.difficulty import canonical_difficulty, grade_maps
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import parse_network, read_network


@pytest.mark.parametrize(
    ("text", "level"),
    [("easy", "easy"), ("medium", "middle"), ("Middle", "middle"), (" HARD ", "hard")],
)
def test_difficulty_names_are_canonical(text: str, level: str) -> None:
    assert canonical_difficulty(text) == level


@pytest.mark.parametrize("value", ["", "difficult", None, 1, ["easy"], float("nan")])
def test_unknown_levels_are_reported_with_their_location(value: object) -> None:
    with pytest.raises(DataError, match="row 7"):
        canonical_difficulty(value, "row 7")


def city(name: str, lines: int, meeting: int) -> Network:
    """Build lines with two stops each, ``meeting`` of which start at one stop."""
    rows = {
        f"{i}": [f"hub {i // 2 if i < 2 * meeting else f'x{i}'}", f"end {i}"] for i in range(lines)
    }
    return parse_network(rows, "nowhere", name)


def test_more_lines_and_then_more_interchanges_are_harder() -> None:
    networks = [city("c", 9, 0), city("b", 4, 2), city("a", 4, 1)]
    expected = {"a": "easy", "b": "middle", "c": "hard"}
    for order in (networks, networks[::-1]):
        assert {key[1]: level for key, level in grade_maps(order).items()} == expected


def test_fewer_than_three_maps_and_no_maps() -> None:
    assert grade_maps([]) == {}
    assert set(grade_maps([city("a", 2, 0)]).values()) == {"easy"}
    assert len(set(grade_maps(city(f"{i}", i + 1, 0) for i in range(4)).values())) == 3


def test_thirty_maps_give_ten_per_level(shared_data: Path) -> None:
    networks = [read_network(p) for p in sorted((shared_data / "stations").glob("*/*.json"))]
    levels = grade_maps(networks)
    assert Counter(levels.values()) == {"easy": 10, "middle": 10, "hard": 10}
    assert levels["america", "new_york"] == "hard"
    assert levels["italy", "rome"] == "easy"
