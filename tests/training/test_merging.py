"""Checkpoints become model folders, adapters become weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.training.merging import find_shards, fold, merge


def shards_at(folder: Path) -> Path:
    (folder / "huggingface").mkdir(parents=True)
    (folder / "huggingface" / "config.json").touch()
    return folder


def test_a_run_stands_for_its_newest_checkpoint(tmp_path: Path) -> None:
    shards_at(tmp_path / "global_step_2" / "actor")
    newest = shards_at(tmp_path / "global_step_4" / "actor")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("4")
    assert find_shards(tmp_path) == find_shards(newest.parent) == find_shards(newest) == newest


def test_fine_tuning_saves_without_an_actor(tmp_path: Path) -> None:
    newest = shards_at(tmp_path / "global_step_4")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("4\n")
    assert find_shards(tmp_path) == newest


def test_no_checkpoint_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkpoint of verl here"):
        find_shards(tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    shards_at(tmp_path / "run")
    with pytest.raises(ConfigError, match="exists already"):
        merge(tmp_path / "run", tmp_path)


def test_folding_gives_what_model_and_adapter_compute_together() -> None:
    torch.manual_seed(1)
    layer = torch.nn.Linear(6, 5, bias=False)
    down, up, inputs = torch.randn(2, 6), torch.randn(5, 2), torch.randn(3, 6)
    together = layer(inputs) + 0.5 * (inputs @ down.T @ up.T)
    weights = {"lm.q_proj.weight": layer.weight, "lm.norm.weight": torch.ones(5)}
    adapter = {
        "base_model.model.lm.q_proj.lora_A.weight": down,
        "base_model.model.lm.q_proj.lora_B.weight": up,
    }
    with torch.no_grad():
        assert fold(weights, adapter, scale=0.5) == ["lm.q_proj.weight"]
    torch.testing.assert_close(layer(inputs), together)
    assert weights["lm.norm.weight"].equal(torch.ones(5))


def test_an_adapter_of_another_model_is_refused() -> None:
    adapter = {"base_model.model.x.lora_A.weight": torch.ones(1, 1)}
    with pytest.raises(ConfigError, match="no such layer"):
        fold({}, adapter, scale=1.0)
