"""``rewardmap evaluate`` resumes after it was killed, as by a machine that goes down."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.timeout(600)

PROGRAM = """
import subprocess, sys, time
from pathlib import Path
from rewardmap_verl.evaluation import inference
from rewardmap_verl.evaluation.answer_log import LoggedAnswer

class Slow:
    def __init__(self, model, *_):
        sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
        child = subprocess.Popen(sleeper, stdin=subprocess.DEVNULL, start_new_session=True)
        Path(model, "child").write_text(str(child.pid))

    def answer(self, batch):
        time.sleep({pause})
        return [LoggedAnswer(one.key, one.index, "yes", 1, "stop") for one in batch]

inference.VllmEngine = Slow
from rewardmap_verl.commands.main import app
app()
"""
"""The command with an engine that needs time and no model, and has a process as vLLM's has."""


def start(pause: float, *arguments: object) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", PROGRAM.format(pause=pause), "evaluate", *map(str, arguments)]
    return subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def finish(program: subprocess.Popen[bytes]) -> None:
    _, said = program.communicate(timeout=400)
    assert program.returncode == 0, said.decode()


def test_a_kill_costs_one_batch_and_changes_no_metric(prepared: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}", encoding="utf-8")
    (model / "model.safetensors").write_bytes(b"weights")
    call = (model, prepared, "--batch-size", 4, "--no-baselines")
    answers = tmp_path / "killed" / "answers.jsonl"
    program = start(1.0, *call, "--out", answers.parent)
    end = time.monotonic() + 120
    while len(lines(answers)) < 9:
        assert time.monotonic() < end and program.poll() is None, "nothing was answered"
        time.sleep(0.05)
    child = int((model / "child").read_text())
    assert psutil.pid_exists(child)
    program.kill()
    program.communicate()
    end = time.monotonic() + 20
    while psutil.pid_exists(child):
        assert time.monotonic() < end, "the engine's process outlives the command"
        time.sleep(0.05)
    kept = [line for line in lines(answers) if line.endswith("}")]
    assert not (answers.parent / "results.json").exists()

    finish(start(0.0, *call, "--out", answers.parent))
    finish(start(0.0, *call, "--out", tmp_path / "whole"))
    assert lines(answers)[: len(kept)] == kept, "what was answered is not asked again"
    keys = Counter(json.loads(line)["key"] for line in lines(answers)[1:])
    assert set(keys.values()) == {1} and len(keys) > len(kept)
    metrics = [
        json.loads((tmp_path / name / "results.json").read_text(encoding="utf-8"))["models"]
        for name in ("killed", "whole")
    ]
    assert metrics[0] == metrics[1]
