"""``rewardmap evaluate --endpoint`` against a real ``vllm serve`` of the embedded model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluation.vllm_server import rewardmap, vllm_serve

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(1500)]


def answers(file: Path) -> dict[str, tuple[str, int]]:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()[1:]]
    return {row["key"]: (row["response"], row["tokens"]) for row in rows}


def test_a_served_model_answers_as_the_local_one(prepared: Path, tmp_path: Path) -> None:
    rewardmap(tmp_path, "tiny-model", prepared, "--out", "model")
    common = ("--max-tokens", 8, "--limit", 20, "--no-baselines", "--out")
    rewardmap(tmp_path, "evaluate", "model", prepared, *common, "local")
    with vllm_serve(tmp_path) as url:
        server = ("--endpoint", url, "--model", "tiny", prepared, "--blank")
        rewardmap(tmp_path, "evaluate", *server, *common, "served")
    local = answers(tmp_path / "local" / "answers.jsonl")
    served = answers(tmp_path / "served" / "answers.jsonl")
    assert len(served) == 20 and served == local
    assert len(answers(tmp_path / "served" / "answers-blank-map.jsonl")) == 20
