"""``rewardmap score``: one line out per row, faults shown, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app

KEYS = [
    *("id", "score", "acc", "format", "correctness", "detail", "weight", "benchmark_acc"),
    *("error", "step", "part", "input", "output", "gts"),
]
PARTS = KEYS[1 : KEYS.index("error")]

ROUTE = "Route Name: Line 1\nDeparture Stop: Acorn Station\nArrival Stop: Birch Station"
ROW = {
    "id": "a",
    "country": "land",
    "city": "town",
    "type": "planning",
    "station_1": "Acorn Station",
    "station_2": "Birch Station",
    "answer": -1,
    "question_transfer_count": 0,
    "difficulty_city": "easy",
    "response": ROUTE,
    "tag": "unknown keys are passed over",
}


@pytest.fixture
def networks(tmp_path: Path) -> Path:
    folder = tmp_path / "networks"
    (folder / "land").mkdir(parents=True)
    lists = {"Line 1": ["Acorn Station", "Birch Station"], "Line 2": ["Birch Station", "Elm"]}
    (folder / "land" / "town.json").write_text(json.dumps(lists), encoding="utf-8")
    (folder / "land" / "broken.json").write_text('{"Line 1": [', encoding="utf-8")
    return folder


class Score:
    """Runs the command on rows and keeps what came of it."""

    def __init__(self, folder: Path, networks: Path, rows: list[Any], *options: str) -> None:
        source, self.path = folder / "rows.jsonl", folder / "out" / "scored.jsonl"
        lines = [
            row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows
        ]
        source.write_bytes(b"".join(lines))
        command = ["score", str(source), "--networks", str(networks), *options]
        if "--no-output" in options:
            command.remove("--no-output")
        else:
            command += ["--out", str(self.path)]
        self.result = CliRunner().invoke(app, command)

    @property
    def rows(self) -> list[dict[str, Any]]:
        text = self.path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


def test_each_row_gives_one_line_in_order(tmp_path: Path, networks: Path) -> None:
    rows = [ROW, {**ROW, "id": 7, "response": ""}, {**ROW, "id": None, "response": "x"}]
    found = Score(tmp_path, networks, rows)
    assert found.result.exit_code == 0, found.result.output
    assert [list(row) for row in found.rows] == [KEYS] * 3
    assert [row["id"] for row in found.rows] == ["a", 7, None]
    assert [row["score"] for row in found.rows] == [16.0, 0.0, 0.0]
    first = ["a", 16.0, 1.0, 1.0, 10.0, 10.0, 1.0, 1.0, None, 0, "val", "", ROUTE]
    assert list(found.rows[0].values())[:-1] == first
    assert json.loads(found.rows[0]["gts"])["station_2"] == "Birch Station"


@pytest.mark.parametrize("response", [None, 5, 1.5, True, ["x"], "\ud800", ""])
def test_strange_responses_are_wrong_and_no_fault(
    tmp_path: Path, networks: Path, response: object
) -> None:
    found = Score(tmp_path, networks, [{**ROW, "response": response}, ROW])
    assert [row["acc"] for row in found.rows] == [0.0, 1.0]
    assert [row["error"] for row in found.rows] == [None, None]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**ROW, "city": "village"}, ["land/village", "line 1", "city", "village.json"]),
        ({**ROW, "city": "broken"}, ["land/broken", "city", "line 1, column"]),
        ({**ROW, "station_2": "Nowhere"}, ["land/town", "id a", "station_2", "Nowhere"]),
        ({**ROW, "difficulty_city": "extreme"}, ["land/town", "difficulty_city", "extreme"]),
        ({**ROW, "type": "Counting9"}, ["land/town", "type", "Counting9"]),
        ({**ROW, "question_transfer_count": None}, ["land/town", "question_transfer_count"]),
        ({k: v for k, v in ROW.items() if k != "response"}, ["land/town", "response"]),
        ({**ROW, "response": {"x": ROUTE}}, ["line 1, id a", "response", "one answer per row"]),
        ([1, 2], ["line 1", "object"]),
        (b'{"id": "a", \n', ["line 1", "not JSON"]),
        (b'{"id": "\xff"}\n', ["line 1", "not UTF-8"]),
        (b"[" * 100_000 + b"\n", ["line 1", "not JSON"]),
    ],
)
def test_a_fault_of_the_data_is_told_and_the_rest_goes_on(
    tmp_path: Path, networks: Path, row: Any, words: list[str]
) -> None:
    found = Score(tmp_path, networks, [row, b"\n", ROW])
    assert found.result.exit_code == 0
    assert len(found.rows) == 2
    assert [found.rows[0][key] for key in PARTS] == [None] * 7
    assert all(word in found.rows[0]["error"] for word in words), found.rows[0]["error"]
    assert found.rows[1]["score"] == 16.0
    assert "1 rows could not be scored" in found.result.output


def test_strict_stops_at_the_first_fault_and_leaves_no_file(tmp_path: Path, networks: Path) -> None:
    found = Score(tmp_path, networks, [ROW, {**ROW, "city": "village"}, ROW], "--strict")
    assert found.result.exit_code == 2
    assert "land/village, line 2, id a: city" in found.result.output
    assert not found.path.exists()
    assert list(found.path.parent.iterdir()) == []


def test_without_output_lines_go_to_the_screen(tmp_path: Path, networks: Path) -> None:
    found = Score(tmp_path, networks, [ROW], "--no-output")
    assert json.loads(found.result.stdout)["score"] == 16.0


def test_settings_come_from_options_and_files(tmp_path: Path, networks: Path) -> None:
    file = tmp_path / "reward.yaml"
    file.write_text("reward:\n  rewardmap:\n    alpha: 0.0\n    format: 2\n", encoding="utf-8")
    assert Score(tmp_path, networks, [ROW], "--config", str(file)).rows[0]["score"] == 12.0
    both = ("--config", str(file), "--set", "alpha=0.3", "--set", "map_weights.easy=2")
    assert Score(tmp_path, networks, [ROW], *both).rows[0]["score"] == 30.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "alpha=-1"], "reward.rewardmap.alpha: found -1"),
        (["--set", "alfa=1"], "reward.rewardmap.alfa"),
        (["--set", "alpha"], "KEY=VALUE"),
        (["--set", "alpha=[1"], "not valid YAML"),
        (["--config", "missing.yaml"], "missing.yaml"),
    ],
)
def test_faulty_settings_are_told(
    tmp_path: Path, networks: Path, options: list[str], words: str
) -> None:
    found = Score(tmp_path, networks, [ROW], *options)
    assert found.result.exit_code == 2
    assert words in found.result.output.replace("\n", "")


def test_missing_files_are_told(tmp_path: Path, networks: Path) -> None:
    found = Score(tmp_path, tmp_path / "nowhere", [ROW])
    assert found.result.exit_code == 2
    assert "The folder does not exist" in found.result.output
    command = ["score", str(tmp_path / "no.jsonl"), "--networks", str(networks)]
    missing = CliRunner().invoke(app, command)
    assert missing.exit_code == 2
    assert "no.jsonl" in missing.output


def test_the_rows_of_a_rollout_dump_are_scored(tmp_path: Path, networks: Path) -> None:
    truth = {key: value for key, value in ROW.items() if key != "response"}
    dump = {"input": "…", "output": ROUTE, "gts": json.dumps(truth), "score": 3.0, "step": 1}
    found = Score(tmp_path, networks, [dump, {**dump, "gts": "{"}])
    assert found.rows[0]["score"] == 16.0
    assert "line 2: ground_truth" in found.rows[1]["error"]


def test_what_was_scored_can_be_scored_again(tmp_path: Path, networks: Path) -> None:
    truth = {key: value for key, value in ROW.items() if key != "response"}
    dump = {"input": "…", "output": ROUTE, "gts": json.dumps(truth), "step": 4, "uid": "7_0_0"}
    rows = [ROW, {**ROW, "city": "village"}, dump, {**dump, "acc": 1.0}]
    first = Score(tmp_path, networks, rows)
    again = Score(tmp_path, networks, first.rows)
    assert [again.rows[place] for place in (0, 2, 3)] == [first.rows[i] for i in (0, 2, 3)]
    assert [row["part"] for row in first.rows] == ["val", "val", "train", "val"]
    assert (first.rows[2]["step"], first.rows[2]["uid"]) == (4, "7_0_0")
    assert "could not score this row: land/village" in again.rows[1]["error"]


def test_the_golden_cases_are_scored(tmp_path: Path, shared_data: Path) -> None:
    out = tmp_path / "scored.jsonl"
    rows, networks = shared_data / "cases_public.jsonl", shared_data / "stations"
    command = ["score", str(rows), "--networks", str(networks), "--out", str(out)]
    assert CliRunner().invoke(app, command).exit_code == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    asked = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [row["id"] for row in asked]
    for line in lines:
        assert (line["error"] is None) == (line["score"] is not None)


def test_content_parts_are_read(tmp_path: Path, networks: Path) -> None:
    parts = [{"type": "text", "text": ROUTE}]
    found = Score(tmp_path, networks, [{**ROW, "response": parts}, {**ROW, "response": [ROUTE]}])
    assert [row["score"] for row in found.rows] == [16.0, 16.0]


def test_a_file_without_a_valid_row_fails(tmp_path: Path, networks: Path) -> None:
    found = Score(tmp_path, networks, [{**ROW, "city": "village"}] * 3)
    assert found.result.exit_code == 2
    assert "None of 3 rows could be scored" in found.result.output
    assert len(found.rows) == 3, "the output still names the reason of each row"
    assert Score(tmp_path, networks, []).result.exit_code == 2


def test_the_networks_are_required_for_rows_with_questions(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["score", str(rows)])
    assert done.exit_code == 2 and "--networks" in done.output
