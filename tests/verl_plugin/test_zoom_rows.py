"""What the zoom tool needs from the data, and what it adds to reward and metrics."""

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
from PIL import Image
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.ppo.reward import load_reward_manager

from rewardmap_verl.curriculum.groups import Group, group_metrics
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.verl_plugin.dataset import CurriculumDataset
from rewardmap_verl.zoom.settings import read_zoom
from rewardmap_verl.zoom.statistics import ANSWER_START, BOXES

ZOOM = ("data.zoom.max_calls=2", "data.zoom.describe=false")
STAGES = [
    {"name": "judgment", "types": ["TorF1", "TorF2"], "zoom": False},
    {"name": "rest", "types": ["Counting1", "Counting2", "Counting3", "planning"]},
]

MakeConfig = Callable[..., DictConfig]


def make_dataset(config: DictConfig, processor: Any, split: str = "train") -> CurriculumDataset:
    return CurriculumDataset(
        config.data[f"{split}_files"], processor.tokenizer, config.data, processor
    )


@pytest.fixture
def with_originals(data_folder: Path) -> Path:
    for index in range(2):
        store_original(Image.new("RGB", (560, 560)), f"images/map{index}.png", data_folder)
    return data_folder


def test_rows_choose_their_loop_and_name_their_original(
    with_originals: Path, run_config: MakeConfig, processor: Any
) -> None:
    config = run_config(with_originals, *ZOOM)
    config.data.curriculum.stages = STAGES
    dataset = make_dataset(config, processor)
    rows = [dataset[number] for number in range(len(dataset))]
    for row in rows:
        stage = row["extra_info"]["stage"]
        assert row["agent_name"] == ("rewardmap" if stage == "judgment" else "rewardmap_zoom")
        image = Path(row["raw_prompt"][0]["content"][0]["image"])
        original = row["tools_kwargs"]["zoom"]["create_kwargs"]["original"]
        assert original == str(with_originals.resolve() / "originals" / f"{image.stem}.tif")
    assert {row["agent_name"] for row in rows} == {"rewardmap", "rewardmap_zoom"}
    validation = make_dataset(config, processor, "val")
    assert validation[0]["agent_name"] == "rewardmap_zoom"


def test_without_the_tool_rows_are_as_before(
    data_folder: Path, run_config: MakeConfig, processor: Any
) -> None:
    row = make_dataset(run_config(data_folder), processor)[0]
    assert "agent_name" not in row
    assert row["tools_kwargs"] == {}


def test_a_missing_original_is_found_before_the_first_step(
    with_originals: Path, run_config: MakeConfig, processor: Any
) -> None:
    (with_originals / "originals" / "map1.tif").unlink()
    with pytest.raises(DataError, match="--keep-originals"):
        make_dataset(run_config(with_originals, *ZOOM), processor)


def test_an_original_outside_the_folder_is_refused(
    with_originals: Path, run_config: MakeConfig, processor: Any, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.tif"
    secret.write_bytes(b"secret")
    link = with_originals / "originals" / "map0.tif"
    link.unlink()
    link.symlink_to(secret)
    with pytest.raises(DataError):
        make_dataset(run_config(with_originals, *ZOOM), processor)


def test_the_description_counts_as_prompt(
    with_originals: Path, run_config: MakeConfig, processor: Any
) -> None:
    zoom = ("data.zoom.max_calls=2", "data.max_prompt_length=100")
    with pytest.raises(DataError, match="max_prompt_length"):
        make_dataset(run_config(with_originals, *zoom), processor)
    make_dataset(run_config(with_originals, *zoom, "data.zoom.describe=false"), processor)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ({"max_call": 3}, "Did you mean 'max_calls'"),
        ({"max_calls": 0}, "max_calls"),
        ({"call_cost": -1.0}, "call_cost"),
        ({"call_cost": float("inf")}, "call_cost"),
        ({"max_pixels": 200, "min_pixels": 3136}, "max_pixels"),
        ({"max_pixels": 3136, "min_pixels": 6272}, "min_pixels"),
    ],
)
def test_settings_that_cannot_be_used_are_named(block: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_zoom(OmegaConf.create({"zoom": block}))


MANAGER = {
    "source": "importlib",
    "name": "RewardMapRewardManager",
    "module": {"path": "pkg://rewardmap_verl.verl_plugin.reward_manager"},
}


def score(
    processor: Any,
    row: dict[str, Any],
    turns: tuple[str, str],
    boxes: list[list[int] | None],
    **zoom: Any,
) -> dict[str, Any]:
    """Score a trajectory whose first turns and crops are ``turns[0]``."""
    config = OmegaConf.create({"reward": {"reward_manager": MANAGER}, "data": {"zoom": zoom}})
    manager = load_reward_manager(config, processor.tokenizer)
    before, answer = (processor.tokenizer.encode(turn) for turn in turns)
    responses = torch.tensor([before + answer])
    batch = TensorDict(
        {
            "prompts": torch.ones((1, 4), dtype=torch.int64),
            "responses": responses,
            "attention_mask": torch.ones((1, 4 + responses.shape[1]), dtype=torch.int64),
        },
        batch_size=1,
    )
    row["tool_extra_fields"] = {BOXES: boxes, ANSWER_START: len(before)}
    columns = {name: np.array([value], dtype=object) for name, value in row.items()}
    result: dict[str, Any] = asyncio.run(
        manager.run_single(DataProto(batch=batch, non_tensor_batch=columns))
    )
    return result


@pytest.fixture
def row(row_of: Callable[..., Any], data_folder: Path) -> dict[str, Any]:
    made = row_of("TorF1", 0, "train")
    made["extra_info"]["network"] = str(data_folder / made["extra_info"]["network"])
    return made  # type: ignore[no-any-return]


def test_the_last_turn_is_the_answer(processor: Any, row: dict[str, Any]) -> None:
    boxes: list[list[int] | None] = [[0, 0, 500, 500], None]
    right = score(processor, row, (r"\boxed{no} <tool_call>", r"\boxed{yes}"), boxes)
    parts = right["reward_extra_info"]
    assert parts["acc"] == 1.0
    assert (parts["zoom_used"], parts["zoom_calls"], parts["zoom_area"]) == (1.0, 2.0, 0.25)
    plain = score(processor, row, ("", r"\boxed{yes}"), [])
    assert plain["reward_score"] == right["reward_score"], "calls are neither paid nor punished"
    assert plain["reward_extra_info"]["zoom_area"] is None
    assert set(plain["reward_extra_info"]) == set(parts)


def test_calls_can_have_a_cost(processor: Any, row: dict[str, Any]) -> None:
    boxes: list[list[int] | None] = [[0, 0, 500, 500], None]
    free = score(processor, row, ("", r"\boxed{yes}"), boxes)
    costly = score(processor, row, ("", r"\boxed{yes}"), boxes, call_cost=0.5)
    assert costly["reward_score"] == free["reward_score"] - 1.0
    assert costly["reward_score"] == costly["reward_extra_info"]["score"]


def test_metrics_compare_answers_with_and_without_a_crop() -> None:
    scores = {
        "acc": (1.0, 1.0, 0.0, 0.0),
        "score": (10.0, 10.0, 0.0, 0.0),
        "zoom_used": (1.0, 1.0, 1.0, 0.0),
        "zoom_calls": (1.0, 2.0, 1.0, 0.0),
        "zoom_area": (0.25, 0.5, 0.25, None),
    }
    group = Group("rest", "planning", 0, 0, 0, False, scores)
    metrics = group_metrics([group])
    assert metrics["zoom_used"] == 0.75
    assert metrics["zoom_calls"] == 1.0
    assert metrics["zoom_area"] == pytest.approx(1 / 3)
    assert metrics["acc_with_zoom"] == pytest.approx(2 / 3)
    assert metrics["acc_without_zoom"] == 0.0
    assert json.dumps(group.as_json())
    without = group_metrics([Group("a", "b", 0, 0, 0, False, {"acc": (1.0,), "score": (1.0,)})])
    assert not [name for name in without if "zoom" in name]
