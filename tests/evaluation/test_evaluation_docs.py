"""Every command of docs/evaluation.md is run, with a model that only repeats the question."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.evaluation import sources
from rewardmap_verl.evaluation.answer_log import LoggedAnswer
from rewardmap_verl.evaluation.benchmarks import BENCHMARKS
from rewardmap_verl.evaluation.map_score import PARTS
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.weights import load_weights
from tests.evaluation.chat_server import chat_server, completion

DOCS = Path(__file__).resolve().parents[2] / "docs" / "evaluation.md"


def commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("rewardmap ")]


class Parrot:
    def __init__(self, *_: Any) -> None:
        pass

    def answer(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        return [LoggedAnswer(one.key, one.index, one.text, 3, "stop") for one in batch]


@pytest.fixture
def place(
    tmp_path: Path, prepared: Path, questions: EvalSet, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with everything that the documentation mentions."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "synthetic").symlink_to(prepared)
    for name in ("merged", "model"):
        folder = tmp_path / "runs" / "synthetic" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}", encoding="utf-8")
        (folder / "model.safetensors").write_bytes(name.encode())
    rows = [{"index": q.index, "response": "no"} for q in questions.items]
    dump = [
        {"input": "", "output": "no", "gts": q.gold, "uid": str(q.index)} for q in questions.items
    ]
    validation = tmp_path / "runs" / "synthetic" / "checkpoints" / "validation"
    validation.mkdir(parents=True)
    for path, lines in ((tmp_path / "answers.jsonl", rows), (validation / "33.jsonl", dump)):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    results = tmp_path / "benchmarks_run" / "outputs" / "rewardmap"
    results.mkdir(parents=True)
    text = "split,Overall\nnone,0.5\n"
    (results / "rewardmap_MMStar_acc.csv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sources, "VllmEngine", Parrot)
    monkeypatch.setattr(sources, "prepare_environment", lambda: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_works(place: Path) -> None:
    with chat_server(lambda request: (200, completion("no"))) as server:
        found = [line.replace("http://localhost:8000/v1", server.url) for line in commands()]
        run_all(found, place)
        assert server.requests


def run_all(found: list[str], place: Path) -> None:
    assert len(found) >= 7
    for line in found:
        done = CliRunner().invoke(app, shlex.split(line)[1:], env={"COLUMNS": "120"})
        assert done.exit_code == 0, f"{line}\n{done.output}"
    merged = place / "outputs" / "evaluation" / "synthetic-merged"
    written = {file.name for file in merged.iterdir()}
    assert written >= {"results.json", "table.md", "table.tex", "answers.jsonl"}


def test_the_text_has_the_numbers_of_the_code() -> None:
    text = DOCS.read_text(encoding="utf-8")
    by_level = load_weights().reasonmap
    for level in ("easy", "middle", "hard"):
        row = getattr(by_level, level)
        assert f"| {level} | {row.easy} | {row.middle} | {row.hard} |" in text
    plus = load_weights().reasonmap_plus
    assert f"weighted by map level ({plus.easy}, {plus.middle}, {plus.hard})" in text
    assert all(f"| {part} |" in text for part in PARTS)
    assert len(BENCHMARKS) == 6
