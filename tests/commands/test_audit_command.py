"""``rewardmap audit``: it finds nothing in our reward, and it would find what others have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import rewardmap_verl.rewards.audit as audit_module
from rewardmap_verl.commands.main import app
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.rewards.parts import Score
from rewardmap_verl.rewards.score import GroundTruth, score_answer
from rewardmap_verl.transit.reader import parse_network

LISTS = {
    "Line 1": ["Acorn Station", "Birch Station", "Cedar Station", "Dune Station"],
    "Line 2": ["Cedar Station", "Elm Station", "Fern Station", "Gate Station"],
    "Line 3": ["Gate Station", "Hill Station", "Isle Station"],
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with ``rows.jsonl`` and ``networks/``."""
    (tmp_path / "networks" / "land").mkdir(parents=True)
    (tmp_path / "networks" / "land" / "town.json").write_text(json.dumps(LISTS), encoding="utf-8")
    network = parse_network(LISTS, "land", "town")
    questions = generate_questions(network, "hard", 1, Quotas(2, 2, 2, 2, 1, 8))
    rows = [
        json.loads(GroundTruth.from_question(question).to_json()) | {"question": question.text}
        for question in questions
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def run(data: Path, *options: str) -> Result:
    command = ["audit", str(data / "rows.jsonl"), "--networks", str(data / "networks")]
    return CliRunner().invoke(app, [*command, "--limit", "2", "--tries", "20", *options])


def test_every_property_holds(data: Path) -> None:
    shown = run(data, "--show")
    assert shown.exit_code == 0, shown.output
    for word in ("TorF1", "Counting3", "planning", "margin", "All guarantees hold"):
        assert word in shown.output
    assert run(data, "--show").output == shown.output


@pytest.mark.parametrize("changes", [["alpha=0.9"], ["use_detail=no"], ["detail_floor=3"]])
def test_it_holds_with_other_settings(data: Path, changes: list[str]) -> None:
    options = [part for change in changes for part in ("--set", change)]
    assert run(data, *options).exit_code == 0


def test_a_faulty_reward_is_found_out(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the released code: the last required leg is punished, so that gold is not the best."""

    def faulty(response: object, *rest: object) -> Score:
        score = score_answer(response, *rest)  # type: ignore[arg-type]
        lost = 5.0 if score.acc and score.detail is not None else 0.0
        return Score(**{**_fields(score), "score": score.score - lost})

    monkeypatch.setattr(audit_module, "score_answer", faulty)
    shown = run(data)
    assert shown.exit_code == 1
    assert "the perfect answer earns the maximum" in shown.output


def test_a_reward_that_pays_for_padding_is_found_out(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(response: object, *rest: object) -> Score:
        score = score_answer(response, *rest)  # type: ignore[arg-type]
        bonus = 4.0 * (score.metrics["legs"] or 0.0) if not score.acc else 0.0
        return Score(**{**_fields(score), "score": score.score + bonus})

    monkeypatch.setattr(audit_module, "score_answer", faulty)
    shown = run(data)
    assert shown.exit_code == 1
    assert "padding never raises the reward" in shown.output


def _fields(score: Score) -> dict[str, object]:
    return {name: getattr(score, name) for name in Score.__slots__}


def test_faults_are_told(data: Path) -> None:
    command = ["audit", str(data / "rows.jsonl")]
    assert "--networks" in CliRunner().invoke(app, command).output
    missing = CliRunner().invoke(app, ["audit", str(data / "no.jsonl")])
    assert (missing.exit_code, "no.jsonl" in missing.output) == (2, True)
    empty = data / "empty"
    empty.mkdir()
    shown = CliRunner().invoke(app, ["audit", str(empty)])
    assert (shown.exit_code, "no parquet file" in shown.output.replace("\n", " ")) == (2, True)
    (data / "rows.jsonl").write_text('{"type": "TorF1"}\n', encoding="utf-8")
    faulty = run(data)
    assert faulty.exit_code == 2
    assert "Skipped" in faulty.output
