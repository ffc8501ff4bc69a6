"""``rewardmap explain``: what was read, what was checked, what it earned, what would be perfect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rewardmap_verl.commands.main import app
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.explain import explain_answer
from rewardmap_verl.rewards.score import GroundTruth, score_answer
from rewardmap_verl.transit.reader import parse_network, read_network

LISTS = {
    "Line 1": ["Acorn Station", "Birch Station"],
    "Line 2": ["Birch Station", "Cedar Station"],
}
QUESTION = {
    "country": "land",
    "city": "town",
    "type": "planning",
    "station_1": "Acorn Station",
    "station_2": "Cedar Station",
    "answer": -1,
    "question_transfer_count": 1,
    "difficulty_city": "easy",
}


def route(*legs: tuple[str, str, str]) -> str:
    return "\n--\n".join(
        f"Route Name: {line}\nDeparture Stop: {a} Station\nArrival Stop: {b} Station"
        for line, a, b in legs
    )


GOLD = route(("Line 1", "Acorn", "Birch"), ("Line 2", "Birch", "Cedar"))
BROKEN = route(("Line 9", "Acorn", "Birch"), ("Line 1", "Cedar", "Cedar"))


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    folder = tmp_path / "networks"
    (folder / "land").mkdir(parents=True)
    (folder / "land" / "town.json").write_text(json.dumps(LISTS), encoding="utf-8")
    return folder


def run(folder: Path, networks: Path, rows: list[dict[str, Any]], *options: str) -> Result:
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return CliRunner().invoke(app, ["explain", str(file), "--networks", str(networks), *options])


def test_a_wrong_route_is_explained_leg_by_leg(tmp_path: Path, networks: Path) -> None:
    shown = run(tmp_path, networks, [{**QUESTION, "id": "x", "response": BROKEN}], "--row", "x")
    assert shown.exit_code == 0, shown.output
    for words in (
        "planning in land/town (easy): Acorn Station → Cedar Station",
        "✓ 2 legs read",
        "✓ the route starts at 'Acorn Station'",
        "✗ leg 1: there is no line 'Line 9'",
        "✗ change 1: arrives at 'Birch Station' and departs from 'Cedar Station'",
        "✗ leg 2: Line 1 does not stop at 'Cedar Station' and 'Cedar Station'",
        "✓ it ends at 'Cedar Station'",
        "the legs are not a simple path",
        "wrong: 1.5 of 24 (weight 1.5)",
        "A perfect answer",
        *GOLD.splitlines(),
    ):
        assert words in shown.output, words


def test_a_perfect_answer_needs_no_better_one(tmp_path: Path, networks: Path) -> None:
    shown = run(tmp_path, networks, [{**QUESTION, "response": GOLD}])
    assert "correct: 24 of 24 (weight 1.5)" in shown.output
    leg = "✓ leg 1: Line 1 from 'Acorn Station' to 'Birch Station', on a best route"
    assert leg in shown.output
    assert "✓ change 1: at 'Birch Station', on a best route" in shown.output
    assert "A perfect answer" not in shown.output


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (r"\boxed{some}", ["✗ it is not one unambiguous", "it means nothing", "wrong: 0 of 11"]),
        (
            r"\boxed{2 lines}",
            ["readable, but not in the exact format", "it means 2", "correct: 10.5 of 11"],
        ),
        ("The answer is 2.", ["without a box", "correct: 10 of 11"]),
        ("", ["no box and no answer in 0 characters"]),
        (None, ["the response is not text but None"]),
        ("\ud800 [bold]2[/bold]", ["no box and no answer", "[bold]2[/bold]"]),
    ],
)
def test_short_answers_are_explained(
    tmp_path: Path, networks: Path, response: object, words: list[str]
) -> None:
    row = {**QUESTION, "type": "Counting2", "station_1": "Birch Station", "answer": 2}
    shown = run(tmp_path, networks, [{**row, "response": response}])
    assert shown.exit_code == 0, shown.output
    for text in words:
        assert text in shown.output.replace("\n", " "), text


def test_rows_are_found_by_number_and_id(tmp_path: Path, networks: Path) -> None:
    rows = [{**QUESTION, "id": "2", "response": GOLD}, {**QUESTION, "id": "b", "response": BROKEN}]
    assert "correct" in run(tmp_path, networks, rows, "--row", "2").output  # the id goes first
    assert "wrong: " in run(tmp_path, networks, rows, "--row", "b").output
    missing = run(tmp_path, networks, rows, "--row", "9")
    assert missing.exit_code == 2
    assert "row: found '9'" in missing.output


def test_another_answer_can_be_explained(tmp_path: Path, networks: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(GOLD, encoding="utf-8")
    rows = [{**QUESTION, "response": BROKEN}]
    assert "correct: 24" in run(tmp_path, networks, rows, "--response", str(file)).output
    missing = run(tmp_path, networks, rows, "--response", str(tmp_path / "no.txt"))
    assert missing.exit_code == 2


def test_a_row_of_a_rollout_dump_is_explained(tmp_path: Path, networks: Path) -> None:
    dump = {"input": "?", "output": GOLD, "gts": json.dumps(QUESTION), "score": 24.0, "step": 3}
    assert "correct: 24 of 24" in run(tmp_path, networks, [dump]).output


def test_a_question_without_an_answer_asks_for_one(tmp_path: Path, networks: Path) -> None:
    shown = run(tmp_path, networks, [QUESTION])
    assert shown.exit_code == 2
    assert "--response FILE" in shown.output


def test_explanations_never_differ_from_the_score(shared_data: Path) -> None:
    config = RewardConfig()
    network = read_network(shared_data / "stations" / "hungary" / "budapest.json")
    rows = (shared_data / "cases_public.jsonl").read_text(encoding="utf-8").splitlines()
    explained = 0
    for row in map(json.loads, rows):
        if row["city"] != "budapest" or row["tag"].startswith("odd:"):
            continue
        truth = GroundTruth.from_row(row)
        found = explain_answer(row["response"], truth, network, config)
        score = score_answer(row["response"], truth, network, config)
        assert found.score == score
        weighted = sum(part.value * part.times for part in found.parts) * score.weight
        assert weighted == pytest.approx(score.score)
        if score.acc:
            assert all(check.good for check in found.checks[:-1])  # the last is the length
        explained += 1
    assert explained > 50


def test_stops_that_nothing_joins_have_no_perfect_answer() -> None:
    network = parse_network({"Line 1": ["A", "B"], "Line 2": ["C", "D"]}, "land", "town")
    truth = GroundTruth.from_row({**QUESTION, "station_1": "A", "station_2": "D"})
    assert explain_answer("x", truth, network, RewardConfig()).perfect == ""
