"""Splits are by city; the papers' eleven are the default."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.splits import PAPER_TEST_CITIES, assign_splits


def test_the_thirty_cities_are_split_as_in_the_papers(shared_data: Path) -> None:
    table = json.loads((shared_data / "city_table.json").read_text(encoding="utf-8"))
    keys = [f"{city['country']}/{city['city']}" for city in table]
    splits, notes = assign_splits(keys, None, 0)
    test = {key.split("/")[1] for key, names in splits.items() if names == ("test",)}
    assert test == set(PAPER_TEST_CITIES) and len(test) == 11
    assert sum(names == ("train",) for names in splits.values()) == 19
    assert not notes


def test_named_cities_are_test() -> None:
    splits, _ = assign_splits(["a/x", "b/x", "b/y"], ["b/x"], 0)
    assert splits == {"a/x": ("train",), "b/x": ("test",), "b/y": ("train",)}
    splits, _ = assign_splits(["a/x", "b/x", "b/y"], ["x"], 0)
    assert splits == {"a/x": ("test",), "b/x": ("test",), "b/y": ("train",)}


def test_other_cities_give_a_third_by_the_seed() -> None:
    keys = [f"land/{name}" for name in "abcdefg"]
    splits, notes = assign_splits(keys, None, 1)
    chosen = [key for key, names in splits.items() if names == ("test",)]
    assert len(chosen) == 2 and all(key in notes[0] for key in chosen)
    assert assign_splits(keys[::-1], None, 1)[0] == splits
    assert any(assign_splits(keys, None, seed)[0] != splits for seed in range(5))


def test_one_city_gives_both() -> None:
    splits, notes = assign_splits(["land/only"], None, 0)
    assert splits == {"land/only": ("train", "test")}
    assert "land/only" in notes[0]


def test_only_cities_of_the_papers_test_set_are_divided_by_the_seed() -> None:
    splits, _ = assign_splits(["italy/rome", "portugal/lisboa"], None, 0)
    assert sorted(splits.values()) == [("test",), ("train",)]


@pytest.mark.parametrize("wanted", [["nowhere"], ["x", "y"]])
def test_impossible_test_cities(wanted: list[str]) -> None:
    with pytest.raises(ConfigError, match="test_cities"):
        assign_splits(["a/x", "a/y"], wanted, 0)
