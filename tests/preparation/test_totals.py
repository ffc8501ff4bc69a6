"""Counts of questions: what a map could not give is said, and the papers' totals are at hand."""

from __future__ import annotations

import json
import runpy
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.totals import PAPER_MAPS, PAPER_TOTALS, deviation, shortfalls
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.reader import read_network

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "count_questions.py"


def test_the_papers_totals_are_those_of_the_paper() -> None:
    plus = {kind: count for kind, count in PAPER_TOTALS.items() if kind != QuestionType.PLANNING}
    assert sum(plus.values()) == 4018
    assert PAPER_TOTALS[QuestionType.PLANNING] == 1008


def test_the_real_networks_give_the_papers_totals(shared_data: Path) -> None:
    networks = [read_network(path) for path in sorted(shared_data.glob("stations/*/*.json"))]
    grades = grade_maps(networks)
    counts = {
        network.city: Counter(
            question.type.value
            for question in generate_questions(network, grades[network.country, network.city], 1)
        )
        for network in networks
    }
    assert len(counts) == PAPER_MAPS
    for kind in PAPER_TOTALS:
        number, expected, share = deviation(list(counts.values()), kind)
        assert expected == PAPER_TOTALS[kind]
        assert abs(share) <= 0.02, (kind, number)
    # What the maps do not allow is said, and is little: two maps have no or few pairs apart.
    said = {sentence.split(" ")[3]: sentence for sentence in shortfalls(counts, Quotas())}
    assert said["TorF1"].count(",") == 1 and "sydney 0" in said["TorF1"]
    assert set(said) == {"TorF1", "TorF2", "Counting2", "planning"}


def test_each_type_below_its_quota_has_one_note() -> None:
    counts = {"a/x": {"TorF1": 35, "Counting1": 35}, "a/y": {"TorF1": 12, "Counting1": 35}}
    found = list(shortfalls(counts, Quotas(35, 0, 35, 0, 0, 40)))
    assert found == [
        "Fewer than 35 TorF1 questions: a/y 12.",
        "Fewer than 40 planning questions: a/x 0, a/y 0.",
    ]


def test_deviation_scales_with_the_number_of_maps() -> None:
    counts = [{"Counting1": 35}] * 15
    assert deviation(counts, QuestionType.COUNTING1) == (525, 525.0, 0.0)
    number, expected, share = deviation([{"TorF2": 62}] * 2, QuestionType.TORF2)
    assert (number, round(expected, 1), round(share, 2)) == (124, 61.9, 1.0)


def test_a_network_of_one_line_is_noted(local: Callable[..., PrepareSettings], root: Path) -> None:
    lines = {"Line 1": ["Ash", "Birch", "Cedar", "Dogwood", "Elm", "Fir"]}
    (root / "stations/north/alpha.json").write_text(json.dumps(lines))
    manifest = prepare(local())
    assert any("TorF1 questions: north/alpha 0" in note for note in manifest.notes)
    assert "TorF1" in manifest.rows_by_type["train"]  # of the other city


def test_the_script_counts_without_images(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    for path in root.glob("maps/*/*"):
        path.unlink()
    monkeypatch.setattr(sys, "argv", ["count_questions.py", str(root)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    shown = capsys.readouterr().out
    assert "3 networks" in shown
    assert "Counting1" in shown and "%" in shown


def test_a_note_lists_a_limited_number_of_maps() -> None:
    counts: dict[str, dict[str, int]] = {f"here/{number}": {} for number in range(1000)}
    (sentence,) = shortfalls(counts, Quotas(1, 0, 0, 0, 0, 0))
    assert (
        sentence == "Fewer than 1 TorF1 questions: here/0 0, here/1 0, here/2 0 and 997 more maps."
    )
    few: dict[str, dict[str, int]] = {f"here/{number}": {} for number in range(30)}
    (sentence,) = shortfalls(few, Quotas(1, 0, 0, 0, 0, 0))
    assert sentence.endswith("here/29 0.")
