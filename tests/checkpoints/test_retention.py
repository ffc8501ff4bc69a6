"""Old checkpoints are removed, the newest complete ones are kept, and a full disk is reported."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from rewardmap_verl.checkpoints.folders import (
    find_damage,
    newest_complete_step,
    saved_steps,
    set_latest_step,
)
from rewardmap_verl.checkpoints.retention import (
    SavePolicy,
    check_room,
    prune,
    room_shortage,
    save_policy,
    surplus,
)
from rewardmap_verl.errors import RunStoppedError
from rewardmap_verl.verl_plugin.replay_buffer import RewardMapReplayBuffer
from rewardmap_verl.verl_plugin.sampled_answers import Answers


def save(root: Path, *steps: int, numbers: int = 10) -> None:
    """Leave checkpoints as verl does, and name the last one."""
    for step in steps:
        actor = root / f"global_step_{step}" / "actor"
        actor.mkdir(parents=True)
        torch.save({"position": step}, actor.parent / "data.pt")
        torch.save(torch.zeros(numbers), actor / "model_world_size_1_rank_0.pt")
        (actor / "fsdp_config.json").write_text('{"world_size": 1}')
    set_latest_step(root, steps[-1])


def cut(root: Path, step: int) -> None:
    path = root / f"global_step_{step}/actor/model_world_size_1_rank_0.pt"
    path.write_bytes(path.read_bytes()[:100])


def with_weights(root: Path) -> list[int]:
    return [step for step in saved_steps(root) if (root / f"global_step_{step}/actor").is_dir()]


@pytest.mark.parametrize(("keep", "stay"), [(1, [50]), (2, [50]), (3, [50, 40]), (9, None)])
def test_the_requested_number_remains_with_the_next_one(
    tmp_path: Path, keep: int, stay: list[int] | None
) -> None:
    save(tmp_path, 10, 20, 30, 40, 50)
    prune(tmp_path, keep)
    assert with_weights(tmp_path) == (stay or [50, 40, 30, 20, 10])
    assert saved_steps(tmp_path) == [50, 40, 30, 20, 10], "positions stay"


@pytest.mark.parametrize("keep", [None, 0, -1])
def test_all_stay_without_a_limit(tmp_path: Path, keep: int | None) -> None:
    save(tmp_path, 10, 20, 30)
    assert prune(tmp_path, keep) == []
    assert with_weights(tmp_path) == [30, 20, 10]


def test_damaged_ones_do_not_count_as_kept(tmp_path: Path) -> None:
    save(tmp_path, 10, 20, 30, 40)
    cut(tmp_path, 30)
    assert surplus(tmp_path, 3) == [30, 10]


def test_nothing_is_removed_while_the_last_one_is_damaged(tmp_path: Path) -> None:
    save(tmp_path, 10, 20, 30)
    cut(tmp_path, 30)
    assert prune(tmp_path, 1) == []
    assert newest_complete_step(tmp_path) == 20


@pytest.mark.parametrize("name", ["", "7", "x"])
def test_nothing_is_removed_without_a_tracker_file(tmp_path: Path, name: str) -> None:
    save(tmp_path, 10, 20, 30)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(name)
    assert prune(tmp_path, 1) == []


def test_newer_checkpoints_and_other_files_stay(tmp_path: Path) -> None:
    save(tmp_path, 10, 20, 30)
    set_latest_step(tmp_path, 20)
    (tmp_path / "global_step_5_copy" / "actor").mkdir(parents=True)
    (tmp_path / "best" / "actor").mkdir(parents=True)
    assert prune(tmp_path, 1) == [10]
    assert {path.name for path in tmp_path.glob("*/actor/..")} == {".."}
    assert with_weights(tmp_path) == [30, 20]
    assert (tmp_path / "global_step_5_copy/actor").is_dir()
    assert (tmp_path / "best/actor").is_dir()


def test_a_full_disk_stops_the_run_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 10, numbers=1_000_000)
    free(monkeypatch, 3_900_000)
    with pytest.raises(
        RunStoppedError, match=r"step 20.*3\.9 MB of free space, and a checkpoint takes 4\.0 MB"
    ):
        check_room(tmp_path, 20)
    free(monkeypatch, 4_200_000)
    check_room(tmp_path, 20)
    assert find_damage(tmp_path / "global_step_10") == ""


def test_files_of_an_earlier_attempt_are_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 20, 10, numbers=1_000_000)
    free(monkeypatch, 100_000)
    check_room(tmp_path, 20)
    with pytest.raises(RunStoppedError):
        check_room(tmp_path, 30)


def test_files_to_be_removed_count_as_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 10, 20, numbers=1_000_000)
    free(monkeypatch, 100_000)
    assert room_shortage(tmp_path, 2) == ""
    assert "has 0.1 MB of free space, and a checkpoint takes 4.0 MB" in room_shortage(tmp_path, 3)
    set_latest_step(tmp_path, 10)
    assert room_shortage(tmp_path, 3) == "", "what an attempt left behind is overwritten"
    assert room_shortage(tmp_path / "nothing", 2) == ""


def test_the_size_of_the_first_checkpoint_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 0)
    check_room(tmp_path, 1)


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    usage = SimpleNamespace(total=10**12, used=0, free=size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


class Trainer:
    """The part of verl's trainer that the save policy reads."""

    total_training_steps = 25

    def __init__(self, root: Path, **changes: Any) -> None:
        settings = {
            "default_local_dir": str(root),
            "save_freq": 10,
            "max_actor_ckpt_to_keep": 2,
            "resume_mode": "auto",
        }
        self.config = OmegaConf.create({"trainer": {**settings, **changes}})

    def refill(self) -> None:
        """What verl hands to its replay buffer, bound to the trainer."""


def test_only_saved_steps_prune(tmp_path: Path) -> None:
    saving = save_policy(Trainer(tmp_path))
    assert saving is not None
    assert [step for step in range(1, 26) if saving.ends_with_checkpoint(step)] == [10, 20, 25]
    never = save_policy(Trainer(tmp_path, save_freq=-1))
    assert never is not None
    assert not any(never.ends_with_checkpoint(step) for step in range(1, 26))


def test_checkpoints_of_another_run_stay(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4)
    for mode in ("disable", "resume_path"):
        saving = save_policy(Trainer(tmp_path, resume_mode=mode))
        assert isinstance(saving, SavePolicy)
        saving.prepare(10)
        assert with_weights(tmp_path) == [4, 3, 2, 1]


def test_the_replay_buffer_prunes_after_the_rollouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 1, 2, 3, 4)
    buffer: Any = RewardMapReplayBuffer(
        trainer_mode="sync",
        trainer_config=OmegaConf.create({}),
        max_off_policy_threshold=None,
        max_off_policy_strategy="drop",
        sampler_kwargs=OmegaConf.create({"stall_seconds": 0.01, "poll_interval": 0.01}),
        refill_fn=Trainer(tmp_path).refill,
    )
    with pytest.raises(Exception):  # noqa: B017  there is no transfer queue here: no answers
        buffer.sample(global_steps=10, partition_id="train", batch_size=1)
    assert with_weights(tmp_path) == [4, 3, 2, 1]

    answered = SimpleNamespace(keys=["uid_0_0"], tags=[{}], partition_id="train")
    monkeypatch.setattr(ReplayBuffer, "sample", lambda *_, **__: (answered, {}))
    monkeypatch.setattr(
        "rewardmap_verl.verl_plugin.replay_buffer.fetch_answers",
        lambda _: Answers("train", [], [], [], {}),
    )
    for step, part, left in (
        (9, "train", [4, 3, 2, 1]),
        (10, "val", [4, 3, 2, 1]),
        (10, "train", [4]),
    ):
        buffer.sample(global_steps=step, partition_id=part, batch_size=1)
        assert with_weights(tmp_path) == left
    buffer._deadline.cancel()
