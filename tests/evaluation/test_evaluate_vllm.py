"""``rewardmap evaluate`` with a model in vLLM on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

PROGRAM = (sys.executable, "-c", "from rewardmap_verl.commands.main import app; app()")


def rewardmap(*arguments: object, folder: Path) -> str:
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_tiny_model_answers_every_question_and_is_asked_once(
    prepared: Path, tmp_path: Path
) -> None:
    rewardmap("tiny-model", prepared, "--out", "model", folder=tmp_path)
    call = ("evaluate", "model", prepared, "--max-tokens", 8, "--out", "out", "--batch-size", 7)
    shown = rewardmap(*call, folder=tmp_path)
    assert shown.startswith("Complete output: out/evaluate.log\n") and "WARNING" not in shown
    assert (tmp_path / "out" / "evaluate.log").stat().st_size
    answers = tmp_path / "out" / "answers.jsonl"
    lines = answers.read_text(encoding="utf-8").splitlines()
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    (model,) = results["models"]
    assert [one["answers"] for one in model["questions"]] == [1] * (len(lines) - 1)
    assert not any("no answer" in note for note in model["notes"])
    tokens = [json.loads(line)["tokens"] for line in lines[1:]]
    assert set(tokens) <= set(range(1, 9))

    answers.write_text("\n".join(lines[:-2]) + "\n", encoding="utf-8")  # as after a crash
    rewardmap(*call, folder=tmp_path)
    again = answers.read_text(encoding="utf-8").splitlines()
    assert again[:-2] == lines[:-2]
    assert [json.loads(line)["key"] for line in again[1:]] == [
        json.loads(line)["key"] for line in lines[1:]
    ]


@pytest.mark.opt_in
def test_two_engines_give_the_answers_of_one(prepared: Path, tmp_path: Path) -> None:
    rewardmap("tiny-model", prepared, "--out", "model", folder=tmp_path)
    call = ("evaluate", "model", prepared, "--max-tokens", 8, "--limit", 20, "--batch-size", 7)
    rewardmap(*call, "--out", "one", folder=tmp_path)
    rewardmap(*call, "--out", "two", "--data-parallel-size", 2, folder=tmp_path)
    rewardmap(*call, "--out", "penalty", "--repetition-penalty", 1.5, folder=tmp_path)
    one, two, penalty = (
        [
            json.loads(line)
            for line in (tmp_path / name / "answers.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for name in ("one", "two", "penalty")
    )
    assert one == two
    assert penalty[0]["settings"] == {**one[0]["settings"], "repetition_penalty": 1.5}
    assert [row["key"] for row in penalty[1:]] == [row["key"] for row in one[1:]]
    assert penalty[1:] != one[1:]
