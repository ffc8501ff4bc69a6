"""The record of a run survives interruption and resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RecordWriter, read_record, rows_by_step
from rewardmap_verl.errors import DataError


def make_group(slot: int, score: float = 1.0) -> Group:
    return Group("counting", "Counting2", slot, slot, 0, False, {"score": (score, None)})


def steps(path: Path) -> list[tuple[str, int, float]]:
    return [
        (entry.part, entry.step, entry.groups[0].scores["score"][0] or 0.0)
        for entry in read_record(path)
    ]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run" / "record.jsonl"
    writer = RecordWriter(path)
    writer.write("val", 0, [make_group(0)])
    writer.write("train", 1, [make_group(4), make_group(5)])
    entries = read_record(path)
    assert [entry.part for entry in entries] == ["val", "train"]
    assert entries[1].groups == (make_group(4), make_group(5))


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    first = RecordWriter(path)
    first.write("val", 0, [make_group(0, 0.0)])
    for step in (1, 2, 3, 4):
        first.write("train", step, [make_group(step, 1.0)])
    first.write("val", 4, [make_group(0, 4.0)])
    resumed = RecordWriter(path)
    resumed.write("val", 2, [make_group(0, 2.0)])
    resumed.write("train", 3, [make_group(3, 9.0)])
    resumed.write("train", 4, [make_group(4, 9.0)])
    assert steps(path) == [
        ("val", 0, 0.0),
        ("train", 1, 1.0),
        ("train", 2, 1.0),
        ("val", 2, 2.0),
        ("train", 3, 9.0),
        ("train", 4, 9.0),
    ]


def test_a_partial_line_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    RecordWriter(path).write("train", 1, [make_group(1)])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert len(read_record(path)) == 1
    RecordWriter(path).write("train", 2, [make_group(2)])
    assert [step for _, step, _ in steps(path)] == [1, 2]


@pytest.mark.parametrize("content", [None, "", "not json\n"])
def test_an_empty_record_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "record.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=r"record\.jsonl.*No step"):
        read_record(path)


def test_rows_of_every_step_are_known(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    writer = RecordWriter(path)
    writer.write("val", 0, [make_group(9)])
    writer.write("train", 1, [make_group(4), make_group(5)])
    assert rows_by_step(read_record(path)) == {1: [4, 5]}
