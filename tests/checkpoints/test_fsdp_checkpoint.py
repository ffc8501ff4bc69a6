"""The shards of a checkpoint: all of them, and nothing but tensors."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from rewardmap_verl.checkpoints.fsdp_checkpoint import join_shards, shard_files
from rewardmap_verl.errors import DataError


class Attack:
    """What runs a command when it is unpickled."""

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


def test_a_missing_shard_is_said(tmp_path: Path) -> None:
    (tmp_path / "model_world_size_2_rank_1.pt").touch()
    with pytest.raises(DataError, match="Shards are missing"):
        shard_files(tmp_path)
