"""The verifiers environment; skipped where verifiers is not installed, as in CI."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rewardmap_verl.evaluation.questions import EvalSet
from rewardmap_verl.rewards.perfect import perfect_answer

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
