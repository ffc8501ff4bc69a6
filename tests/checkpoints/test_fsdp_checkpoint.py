"""Files of a checkpoint: all shards are read, and no code in them runs."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from rewardmap_verl.checkpoints.fsdp_checkpoint import (
    check_safe,
    join_shards,
    read_plain,
    shard_files,
)
from rewardmap_verl.checkpoints.merge import merge, run_merger
from rewardmap_verl.errors import ConfigError, DataError


class Attack:
    """Creates a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_tensors_are_read(tmp_path: Path) -> None:
    torch.save({"weight": torch.arange(3.0)}, tmp_path / "model_world_size_1_rank_0.pt")
    joined = join_shards(shard_files(tmp_path))
    assert joined["weight"].tolist() == [0.0, 1.0, 2.0]


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    shard = tmp_path / "model_world_size_1_rank_0.pt"
    torch.save({"weight": Attack(tmp_path / "owned")}, shard)
    with pytest.raises(DataError, match="as verl's FSDP engine saves them"):
        join_shards([shard])
    assert not (tmp_path / "owned").exists()


def test_state_of_the_random_generators_is_read(tmp_path: Path) -> None:
    """verl saves NumPy's and Python's generators beside the optimizer."""
    state = {"numpy": np.random.get_state(), "random": random.getstate()}
    torch.save({"rng": state, "cpu": torch.get_rng_state()}, tmp_path / "extra_state.pt")
    read = read_plain(tmp_path / "extra_state.pt")
    assert read["rng"]["random"] == state["random"]
    assert (read["rng"]["numpy"][1] == state["numpy"][1]).all()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"cos\nsystem\n(S'id'\ntR."])
def test_other_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.pt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data\.pt"):
        check_safe([path])


def test_merge_reads_no_stranger(tmp_path: Path) -> None:
    actor = tmp_path / "global_step_1" / "actor"
    (actor / "huggingface").mkdir(parents=True)
    (actor / "huggingface" / "config.json").write_text("{}")
    for rank in range(2):
        shard = {"weight": torch.ones(2) if rank == 0 else Attack(tmp_path / "owned")}
        torch.save(shard, actor / f"model_world_size_2_rank_{rank}.pt")
    with pytest.raises(DataError, match=r"model_world_size_2_rank_1\.pt.*Only tensors"):
        merge(tmp_path / "global_step_1", tmp_path / "merged")
    assert not (tmp_path / "owned").exists()
    assert not (tmp_path / "merged").exists()


def test_the_merger_of_verl_is_forced_to_read_tensors_only(tmp_path: Path) -> None:
    """Even when it reads a file that was exchanged after the check."""
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (tmp_path / "fsdp_config.json").write_text('{"FSDP_version": 2, "world_size": 1}')
    torch.save({"weight": Attack(tmp_path / "owned")}, tmp_path / "model_world_size_1_rank_0.pt")
    with pytest.raises(ConfigError, match="Weights only load failed"):
        run_merger(tmp_path, tmp_path / "target", 300)
    assert not (tmp_path / "owned").exists()


def test_a_missing_shard_is_reported(tmp_path: Path) -> None:
    (tmp_path / "model_world_size_2_rank_1.pt").touch()
    with pytest.raises(DataError, match="Shards are missing"):
        shard_files(tmp_path)
