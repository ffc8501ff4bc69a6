"""The verifiers environment; skipped where verifiers is not installed, as in CI."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rewardmap_verl.evaluation.questions import EvalSet
from rewardmap_verl.rewards.perfect import perfect_answer
from tests.evaluation.chat_server import chat_server, completion, image_bytes, question_of

vf = pytest.importorskip("verifiers.v1")
maps = pytest.importorskip("rewardmap_maps.taskset")


@pytest.fixture
def tasks(prepared: Path) -> list[Any]:
    return list(maps.MapTaskset(maps.MapTasksetConfig(data=prepared)))


def answered(text: str) -> Any:
    return SimpleNamespace(assistant_messages=[vf.AssistantMessage(content=text)])


def test_every_question_is_a_task_with_its_map(tasks: list[Any], questions: EvalSet) -> None:
    assert [task.data.id for task in tasks] == [one.key for one in questions.items]
    for task, question in zip(tasks, questions.items, strict=True):
        (message,) = task.data.prompt
        image, text = message.content
        assert image.image_url.url.startswith("data:image/png;base64,")
        assert text.text == question.prompt.removeprefix("<image>")
        json.dumps(task.data.model_dump(mode="json"))


def test_gold_answers_earn_the_reward_of_training(tasks: list[Any], questions: EvalSet) -> None:
    for task, question in zip(tasks, questions.items, strict=True):
        gold = answered(perfect_answer(question.truth, question.network))
        assert asyncio.run(task.accuracy(gold)) == 1.0
        assert asyncio.run(task.reward(gold)) > 10
        assert asyncio.run(task.reward(answered("no idea at all"))) == 0.0


@pytest.mark.opt_in
def test_vf_eval_asks_a_server(prepared: Path, questions: EvalSet, tmp_path: Path) -> None:
    """``vf-eval`` from end to end; its chat program is installed with uv, from a network."""
    gold = {
        (one.prompt.removeprefix("<image>"), one.image.read_bytes()): one
        for one in questions.items
        if one.image is not None
    }

    def reply(request: dict[str, Any]) -> Any:
        one = gold[question_of(request), image_bytes(request) or b""]
        return 200, completion(perfect_answer(one.truth, one.network))

    with chat_server(reply) as server:
        words = [
            *("rewardmap-maps", "--env.taskset.data", str(prepared), "-n", "3", "-m", "tiny"),
            *("--env.agent.harness.id", "null", "--client.base-url", server.url, "--no-rich"),
            *("--env.agent.runtime.type", "subprocess"),
            *("--output-dir", str(tmp_path)),
        ]
        program = str(Path(sys.executable).with_name("vf-eval"))
        done = subprocess.run(
            [program, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (traces,) = tmp_path.rglob("traces.jsonl")
    lines = [json.loads(line) for line in traces.read_text("utf-8").splitlines()]
    assert len(lines) == 3 and len(server.requests) == 3
