"""Merging: checkpoints become model folders, adapters are folded into weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rewardmap_verl.checkpoints.merge import (
    adapter_scale,
    find_shards,
    fold,
    merge,
    rollout_dtype,
    split_adapters,
)
from rewardmap_verl.errors import ConfigError, DataError


def shards_at(folder: Path) -> Path:
    (folder / "huggingface").mkdir(parents=True)
    (folder / "huggingface" / "config.json").touch()
    return folder


def test_a_run_stands_for_its_latest_checkpoint(tmp_path: Path) -> None:
    shards_at(tmp_path / "global_step_2" / "actor")
    newest = shards_at(tmp_path / "global_step_4" / "actor")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("4")
    assert find_shards(tmp_path) == find_shards(newest.parent) == find_shards(newest) == newest


def test_checkpoints_of_sft_have_no_actor_folder(tmp_path: Path) -> None:
    newest = shards_at(tmp_path / "global_step_4")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("4\n")
    assert find_shards(tmp_path) == newest


@pytest.mark.parametrize("text", ["", "7", "../..", "1\n2", "\x00"])
def test_a_tracker_file_that_leads_nowhere(tmp_path: Path, text: str) -> None:
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(text)
    (tmp_path / "global_step_7").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="no verl checkpoint here"):
        find_shards(tmp_path)


@pytest.mark.parametrize("text", ["a: [", "\x00", "- " * 5000])
def test_metadata_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    shards = shards_at(tmp_path / "actor")
    (tmp_path / "rewardmap_run.yaml").write_text(text)
    with pytest.raises(DataError, match=r"rewardmap_run\.yaml.*--dtype"):
        rollout_dtype(shards)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"lora_alpha": "x", "r": 1}', '{"lora_alpha": 1, "r": 0}']
)
def test_adapters_without_a_scale(tmp_path: Path, text: str) -> None:
    (tmp_path / "lora_adapter").mkdir()
    (tmp_path / "lora_adapter" / "adapter_config.json").write_text(text)
    with pytest.raises(DataError, match="no valid lora_alpha and r"):
        adapter_scale(tmp_path)


def test_a_folder_without_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no verl checkpoint here"):
        find_shards(tmp_path)


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    shards_at(tmp_path / "run")
    with pytest.raises(ConfigError, match="exists already"):
        merge(tmp_path / "run", tmp_path)


def test_folding_equals_model_plus_adapter() -> None:
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


def test_an_adapter_of_another_model_is_rejected() -> None:
    adapter = {"base_model.model.x.lora_A.weight": torch.ones(1, 1)}
    with pytest.raises(ConfigError, match="no such layer"):
        fold({}, adapter, scale=1.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("actor_rollout_ref: {rollout: {dtype: float32}}", "float32"),
        ("actor_rollout_ref: {rollout: {dtype: bfloat16}}", "bfloat16"),
        ("actor_rollout_ref: {}", "bfloat16"),
    ],
)
def test_the_merged_model_has_the_dtype_of_the_rollouts(
    tmp_path: Path, text: str, found: str
) -> None:
    shards = shards_at(tmp_path / "checkpoints" / "global_step_2" / "actor")
    assert rollout_dtype(shards) == "float32", "without metadata: as in the checkpoint"
    (tmp_path / "checkpoints" / "rewardmap_run.yaml").write_text(text)
    assert rollout_dtype(shards) == found


def test_weights_and_adapters_of_a_checkpoint_are_split() -> None:
    """The names that verl 0.9.1 saves with and without adapters."""
    prefix = "base_model.model.model.q_proj"
    names = [f"{prefix}.base_layer.weight", f"{prefix}.lora_A.default.weight", "lm_head.weight"]
    weights, adapter = split_adapters({name: name for name in names})
    assert weights == {"model.q_proj.weight": names[0], "lm_head.weight": names[2]}
    assert adapter == {f"{prefix}.lora_A.weight": names[1]}


def test_a_model_is_replaced_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards_at(tmp_path / "checkpoints" / "actor")
    note = tmp_path / "checkpoints" / "rewardmap_run.yaml"
    note.write_text("actor_rollout_ref: {rollout: {dtype: bfloat16}}")
    before = tmp_path / "merged"
    before.mkdir()
    for name in ("config.json", "README.md", "old.safetensors"):
        (before / name).write_text("before")

    def written(shards: Path, target: Path, timeout: float) -> None:
        (target / "config.json").write_text("after")

    monkeypatch.setattr("rewardmap_verl.checkpoints.merge.run_merger", written)
    with pytest.raises(ConfigError, match="exists already"):
        merge(tmp_path / "checkpoints", before)
    assert merge(tmp_path / "checkpoints", before, replace=True) == before
    assert {path.name for path in before.iterdir()} == {"config.json", "README.md"}
    assert (before / "config.json").read_text() == "after"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
