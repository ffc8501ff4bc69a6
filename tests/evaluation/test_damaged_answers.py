"""Whatever is in a file of answers, it is read, or refused with its place."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation import saved as saved_answers
from rewardmap_verl.evaluation.gather import gather
from rewardmap_verl.evaluation.questions import EvalSet
from rewardmap_verl.evaluation.results import evaluate_answers
from rewardmap_verl.evaluation.saved import find_saved, read_saved
from rewardmap_verl.evaluation.weights import load_weights
from rewardmap_verl.rewards.config import RewardConfig

KEYS = (
    "index",
    "key",
    "response",
    "prediction",
    "output",
    "tokens",
    "finish",
    "question",
    "type",
    "city",
    "rollout",
    "gts",
    "input",
    "uid",
    "rewardmap_answers",
    "questions",
    "model",
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-3, 60)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([10**400, "0", "0.5", "\\boxed{yes}", "TorF1"])
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=10,
)
ROW = st.fixed_dictionaries({"index": st.integers(0, 30) | SCALAR, "response": VALUE}) | VALUE
FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
fuzz = settings(max_examples=200, suppress_health_check=FIXTURES)


def try_all(path: Path, questions: EvalSet) -> None:
    """Read, gather and judge."""
    for lenient in (False, True):
        try:
            found = gather(read_saved(path), questions, lenient)
        except DataError as error:
            assert path.name in str(error)
            continue
        evaluate_answers(
            "m", found.answers, questions, load_weights(), RewardConfig(), breakdown=False
        )


@fuzz
@given(rows=st.lists(ROW, max_size=4))
def test_json_lines_are_read_or_refused(
    tmp_path: Path, questions: EvalSet, rows: list[Any]
) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    try_all(path, questions)


@fuzz
@given(content=VALUE | st.lists(ROW, max_size=3))
def test_tables_are_read_or_refused(tmp_path: Path, questions: EvalSet, content: Any) -> None:
    path = tmp_path / "m_ReasonMap-Plus.json"
    path.write_text(json.dumps(content), "utf-8")
    try_all(path, questions)


@fuzz
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]))
def test_bytes_are_read_or_refused(
    tmp_path: Path, questions: EvalSet, content: bytes, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try_all(path, questions)


def test_a_workbook_that_expands_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_answers, "_MAX_WORKBOOK", 10_000)
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 20_000)
    with pytest.raises(DataError, match=r"20,000 bytes when unpacked.*too large"):
        read_saved(path)


def test_a_pipe_is_no_file_of_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    os.mkfifo(path)
    with pytest.raises(DataError, match=r"answers\.jsonl"):
        find_saved(path)
