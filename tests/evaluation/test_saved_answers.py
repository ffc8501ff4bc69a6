"""Saved answers of every format find their questions; the others are reported or counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.gather import Gathered, gather
from rewardmap_verl.evaluation.questions import EvalSet
from rewardmap_verl.evaluation.saved import find_saved, read_saved

Write = Callable[[str, Iterable[Any]], Path]


@pytest.fixture
def five(ask: Any, make_row: Any) -> EvalSet:
    """Five questions; the last two are alike to the letter."""
    kinds = ["TorF1", "Counting2", "planning"]
    rows = [make_row(kind, i) for i, kind in enumerate(kinds)]
    return ask([*rows, make_row("TorF2", 9), make_row("TorF2", 9)])  # type: ignore[no-any-return]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def lines(name: str, rows: Iterable[Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows)
        path.write_text(text, encoding="utf-8")
        return path

    return lines


def found(path: Path, questions: EvalSet, **options: Any) -> Gathered:
    return gather(read_saved(path), questions, **options)


def responses(gathered: Gathered, questions: EvalSet) -> list[list[object]]:
    return [[a.response for a in gathered.answers.get(q.key, ())] for q in questions.items]


def plain(questions: EvalSet, **more: Any) -> list[dict[str, Any]]:
    return [
        {"index": q.index, "question": q.text, "response": f"answer {q.index}", **more}
        for q in questions.items
    ]


def dumped(questions: EvalSet, rollouts: int = 1) -> list[dict[str, Any]]:
    return [
        {
            "input": f"user\n{q.text}\nassistant",
            "output": f"answer {q.index}, {i}",
            "gts": q.gold,
            "score": 1.0,
            "step": 4,
            "uid": f"u{q.index}_{i}_0",
        }
        for q in questions.items
        for i in range(rollouts)
    ]


EXPECTED = [[f"answer {i}"] for i in range(5)]


def test_json_lines_by_index_by_key_and_by_text(write: Write, five: EvalSet) -> None:
    rows = plain(five)
    rows[1] = {"key": five.items[1].key, "prediction": "answer 1"}
    rows[2] = {"question": f"  {five.items[2].text}\n", "output": "answer 2"}
    assert responses(found(write("a.jsonl", rows), five), five) == EXPECTED


@pytest.mark.parametrize("format", ["xlsx", "tsv", "csv", "json"])
def test_tables_of_vlmevalkit(tmp_path: Path, five: EvalSet, format: str) -> None:
    rows = [
        {"index": q.index, "question": q.text, "type": str(q.truth.type), "prediction": f"{i}.0"}
        for i, q in enumerate(five.items)
    ]
    path = tmp_path / f"model_ReasonMap-Plus.{format}"
    table = pd.DataFrame(rows)
    if format == "xlsx":
        table.to_excel(path, index=False)
    elif format == "json":
        table.to_json(path, orient="records")
    else:
        table.to_csv(path, sep="\t" if format == "tsv" else ",", index=False)
    saved = read_saved(tmp_path)
    assert (saved.path, saved.model) == (path, "model")
    assert responses(gather(saved, five), five) == [[f"{i}.0"] for i in range(5)]


def test_numbers_in_a_json_table_are_text(tmp_path: Path, five: EvalSet) -> None:
    path = tmp_path / "m_ReasonMap-Plus.json"
    rows = [{"index": 0, "prediction": 5}, {"index": 1, "prediction": None}]
    path.write_text(json.dumps(rows), encoding="utf-8")
    assert responses(found(path, five), five)[:2] == [["5.0"], [None]]


def test_dumps_of_verl(write: Write, five: EvalSet) -> None:
    write("validation/0.jsonl", dumped(five))
    newest = write("validation/10.jsonl", dumped(five))
    write("validation/9.jsonl", dumped(five))
    assert find_saved(newest.parent) == newest
    gathered = found(newest, five)
    assert responses(gathered, five) == [[f"answer {i}, 0"] for i in range(5)]
    assert gathered.notes == ()


def test_rollouts_are_several_answers_and_outputs_are_one(write: Write, five: EvalSet) -> None:
    rows = dumped(five, rollouts=3)
    rows.append({**rows[0], "uid": "u0_0_1", "output": "the last output"})
    gathered = found(write("4.jsonl", rows), five)
    assert [len(answers) for answers in responses(gathered, five)] == [3] * 5
    assert set(responses(gathered, five)[0]) == {"the last output", "answer 0, 1", "answer 0, 2"}


def test_another_data_set_is_refused(write: Write, five: EvalSet, ask: Any, make_row: Any) -> None:
    other = ask([make_row("TorF1", 7, answer=0), make_row("planning", 8, station_1="Beta")])
    for name, rows in (("a.jsonl", plain(other)), ("3.jsonl", dumped(other))):
        with pytest.raises(DataError, match=rf"{name}, line 1: question: found .*no such question"):
            found(write(name, rows), five)
        with pytest.raises(DataError, match="no such question"):
            found(write(name, rows), five, lenient=True)


def test_an_index_of_another_question_is_noticed(write: Write, five: EvalSet) -> None:
    swapped = [{**row, "index": (row["index"] + 1) % 3} for row in plain(five)[:3]]
    with pytest.raises(DataError, match="Question 0 of type TorF1"):
        found(write("a.jsonl", swapped), five)
    with pytest.raises(DataError, match="index 99 of 5"):
        found(write("a.jsonl", [{"index": 99, "response": ""}]), five)
    with pytest.raises(DataError, match="type 'Counting3' for"):
        found(write("a.jsonl", [{"index": 0, "type": "Counting3", "response": ""}]), five)


def test_a_limit_leaves_answers_out(write: Write, five: EvalSet) -> None:
    gathered = found(write("a.jsonl", plain(five)), five.first(3))
    assert responses(gathered, five) == [*EXPECTED[:3], [], []]
    assert gathered.notes == ()


def test_lenient_keeps_matching_answers_and_reports_the_rest(write: Write, five: EvalSet) -> None:
    rows = [*plain(five), {"index": 77, "response": "x"}, {**plain(five)[0], "response": "later"}]
    gathered = found(write("a.jsonl", rows), five, lenient=True)
    assert responses(gathered, five)[0] == ["later"]
    notes = " ".join(gathered.notes)
    assert "1 answers belong to other questions" in notes and "index 77" in notes
    assert "1 questions were answered twice; the later answer counts" in notes


def test_double_rows(write: Write, five: EvalSet) -> None:
    same = [*plain(five), plain(five)[3]]
    gathered = found(write("a.jsonl", same), five)
    assert responses(gathered, five) == EXPECTED
    assert any("1 rows repeat an earlier row" in note for note in gathered.notes)
    other = [*plain(five), {**plain(five)[3], "response": "no"}]
    with pytest.raises(
        DataError, match=r"a\.jsonl, line 6: response: .*.*line 4 has another answer"
    ):
        found(write("a.jsonl", other), five)


def test_missing_and_empty_answers_are_counted(write: Write, five: EvalSet) -> None:
    rows = plain(five)[:4]
    rows[0]["response"], rows[1]["response"] = None, "  "
    rows[2]["finish"] = "length"
    rows[3]["response"] = "Failed to obtain answer via API."
    gathered = found(write("a.jsonl", rows), five)
    notes = "\n".join(gathered.notes)
    assert "1 of 4 plus questions have no answer and count as wrong (rows 4)" in notes
    assert "2 of 4 answers are empty" in notes
    assert "1 of 4 answers were cut off at the token limit" in notes
    assert "1 of 4 answers report a failed model call" in notes


def test_a_section_without_answers_is_not_scored(write: Write, five: EvalSet) -> None:
    rows = [row for row in plain(five) if row["index"] != 2]
    gathered = found(write("a.jsonl", rows), five)
    assert gathered.notes == ("None of the 1 short questions was answered; they are not scored.",)


def test_broken_lines_are_counted(write: Write, five: EvalSet) -> None:
    gathered = found(write("a.jsonl", [*plain(five)[:4], '{"index": 4, "resp', "[1]"]), five)
    notes = " ".join(gathered.notes)
    assert "2 lines could not be read" in notes and "line 5" in notes


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "has no answers"),
        ("a.jsonl", "no json\n", "1 broken lines"),
        ("a.jsonl", '{"index": 1}\n', 'Give the model\'s answer as "response"'),
        ("a.jsonl", '{"index": "one", "response": ""}\n', "row in the split"),
        ("a.jsonl", '{"rewardmap_answers": 7}\n{"index": 0, "response": ""}\n', "Only version 1"),
        ("4.jsonl", '{"gts": null, "output": ""}\n', "Expected verl.s ground truth"),
        ("a.tsv", "index\tanswer\n0\tx\n", "column of answers is missing"),
        ("a.xlsx", "no workbook", "Is it complete"),
        ("a.json", "{", "Is it complete"),
        ("a.txt", "x", "Supported: .jsonl"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        read_saved(path)
    assert name in str(error.value)


def test_a_folder_without_answers(tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    with pytest.raises(DataError, match=r"1 other files.*validation dumps"):
        find_saved(tmp_path)
    with pytest.raises(DataError, match="nothing"):
        find_saved(tmp_path / "not there")


def test_a_fingerprint_of_other_questions(write: Write, five: EvalSet) -> None:
    header = {"rewardmap_answers": 1, "questions": "0123456789abcdef", "model": {"name": "m"}}
    path = write("a.jsonl", [header, *plain(five)])
    with pytest.raises(DataError, match=r"a\.jsonl: questions: found '0123456789abcdef'"):
        found(path, five)
    assert responses(found(path, five, lenient=True), five) == EXPECTED
