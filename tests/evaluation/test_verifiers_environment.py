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
from tests.evaluation.vllm_server import rewardmap, vllm_serve

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


@pytest.mark.end_to_end
@pytest.mark.opt_in
@pytest.mark.timeout(900)
def test_vf_eval_asks_and_scores_a_served_model(tmp_path: Path) -> None:
    """A whole evaluation of the embedded model; vf-eval installs its chat program."""
    rewardmap(
        tmp_path, "prepare", "synthetic", *("--train-maps", 1, "--test-maps", 1, "--out", "data")
    )
    rewardmap(tmp_path, "pocket-model", "--out", "model")
    program = Path(sys.executable).with_name("vf-eval")
    words = (
        *("rewardmap-maps", "--env.taskset.data", "data", "-n", 12, "-m", "tiny", "--push", False),
        *("--env.agent.harness.id", "null", "--env.agent.runtime.type", "subprocess"),
        *("--sampling.temperature", 0, "--sampling.max-tokens", 48, "--no-rich"),
        *("--output-dir", "out", "--client.base-url"),
    )
    with vllm_serve(tmp_path) as url:
        call = [str(word) for word in (program, *words, url)]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
        server = ("--endpoint", url, "--model", "tiny", "data", "--limit", 12, "--max-tokens", 48)
        rewardmap(tmp_path, "evaluate", *server, "--no-baselines", "--out", "served")
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.joinpath("out").rglob("traces.jsonl")
    traces = [json.loads(line)["traces"][0] for line in file.read_text("utf-8").splitlines()]
    rows = (tmp_path / "served" / "answers.jsonl").read_text("utf-8").splitlines()[1:]
    ours = {row["key"]: row["response"] for row in map(json.loads, rows)}
    theirs = {one["task"]["data"]["id"]: one["nodes"][-1]["message"]["content"] for one in traces}
    assert theirs == ours and len(ours) == 12
    for one in traces:
        correct, reward = one["metrics"]["accuracy"], one["rewards"]["reward"]["score"]
        assert (reward >= 10) == (correct == 1.0)
