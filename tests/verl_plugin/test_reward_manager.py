"""The reward manager as verl's reward worker calls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from omegaconf import DictConfig, OmegaConf
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.rewards.config import RewardConfig

MANAGER = {
    "source": "importlib",
    "name": "RewardMapRewardManager",
    "module": {"path": "pkg://rewardmap_verl.verl_plugin.reward_manager"},
}


def make_config(rewardmap: dict[str, Any] | None = None) -> DictConfig:
    return OmegaConf.create({"reward": {"reward_manager": MANAGER, "rewardmap": rewardmap}})


@pytest.fixture
def manager(processor: Any) -> Any:
    """The manager, loaded by verl itself."""
    return load_reward_manager(make_config(), processor.tokenizer)


@pytest.fixture
def ask(processor: Any, data_folder: Path, row_of: Callable[..., Any]) -> Callable[..., DataProto]:
    """A function that builds what an agent loop sends for one rollout."""

    def build(kind: str, answer: str, outputs: int = 1) -> DataProto:
        row = row_of(kind, 0, "train")
        row["extra_info"]["network"] = str(data_folder / row["extra_info"]["network"])
        tokens = processor.tokenizer(answer)["input_ids"]
        filling = [processor.tokenizer.pad_token_id] * 3  # outputs of one rollout are padded
        responses = torch.tensor([tokens + filling] * outputs)
        prompts = torch.ones((outputs, 4), dtype=torch.int64)
        mask = torch.ones((outputs, 4 + responses.shape[1]), dtype=torch.int64)
        mask[:, 4 + len(tokens) :] = 0
        batch = TensorDict(
            {"prompts": prompts, "responses": responses, "attention_mask": mask},
            batch_size=outputs,
        )
        columns = {name: np.array([row[name]] * outputs, dtype=object) for name in row}
        return DataProto(batch=batch, non_tensor_batch=columns)

    return build


ROUTE = "Route Name: Line A\nDeparture Stop: Alpha\nArrival Stop: Gamma"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("TorF1", r"\boxed{yes}"), ("Counting1", r"\boxed{B}"), ("planning", ROUTE)],
)
def test_a_right_answer_is_worth_most(
    manager: Any, ask: Callable[..., DataProto], kind: str, answer: str
) -> None:
    right = asyncio.run(manager.run_single(ask(kind, answer)))
    wrong = asyncio.run(manager.run_single(ask(kind, "no idea")))
    assert right["reward_score"] > wrong["reward_score"] >= 0
    assert right["reward_extra_info"]["acc"] == 1.0
    assert right["reward_score"] == right["reward_extra_info"]["score"]


@pytest.mark.parametrize("answer", ["", "\ufffd" * 50, "{" * 2000, "Route Name:" * 300, "\x00"])
def test_no_answer_raises_and_keys_are_always_the_same(
    manager: Any, ask: Callable[..., DataProto], answer: str
) -> None:
    results = [
        asyncio.run(manager.run_single(ask(kind, text)))["reward_extra_info"]
        for kind in ("TorF1", "planning")
        for text in (answer, ROUTE)
    ]
    assert len({tuple(result) for result in results}) == 1
    for result in results:
        assert all(value is None or isinstance(value, float) for value in result.values())


def test_of_several_outputs_the_last_is_scored(manager: Any, ask: Callable[..., DataProto]) -> None:
    result = asyncio.run(manager.run_single(ask("TorF1", r"\boxed{yes}", outputs=3)))
    assert result["reward_extra_info"]["acc"] == 1.0


def test_many_answers_at_once_read_each_network_once(
    manager: Any, ask: Callable[..., DataProto]
) -> None:
    async def score_all() -> list[dict[str, Any]]:
        return await asyncio.gather(
            *(manager.run_single(ask("planning", ROUTE)) for _ in range(20))
        )

    assert {result["reward_extra_info"]["acc"] for result in asyncio.run(score_all())} == {1.0}
    assert manager._network.cache_info().misses == 1
    assert manager._truth.cache_info().misses == 1


def test_a_network_that_has_gone_is_the_datas_fault(
    manager: Any, ask: Callable[..., DataProto], data_folder: Path
) -> None:
    question = ask("planning", ROUTE)
    (data_folder / "networks/testland/one.json").unlink()
    with pytest.raises(DataError, match=r"one\.json"):
        asyncio.run(manager.run_single(question))


def test_settings_reach_the_reward(processor: Any, ask: Callable[..., DataProto]) -> None:
    config = make_config({"correctness": 20.0, "use_format": False, "map_weights": {"easy": 2.0}})
    manager = load_reward_manager(config, processor.tokenizer)
    result = asyncio.run(manager.run_single(ask("TorF1", r"\boxed{yes}")))
    assert result["reward_score"] == 40.0
    default = RewardConfig()
    assert (default.correctness, default.map_weights.easy) != (20.0, 2.0)


def test_settings_that_cannot_be_used_are_named(processor: Any) -> None:
    with pytest.raises(ConfigError, match=r"reward\.rewardmap\.alpa"):
        load_reward_manager(make_config({"alpa": 1.0}), processor.tokenizer)


def test_gold_answers_are_json(ask: Callable[..., DataProto]) -> None:
    truth = ask("TorF1", "x").non_tensor_batch["reward_model"][0]["ground_truth"]
    assert json.loads(truth)["type"] == "TorF1"
