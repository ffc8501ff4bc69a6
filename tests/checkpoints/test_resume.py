"""A run that cannot resume from its checkpoint is rejected before its model is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from omegaconf import DictConfig
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn

from rewardmap_verl.checkpoints.folders import find_damage, latest_step, newest_complete_step
from rewardmap_verl.checkpoints.resume import check_resume, fall_back, fall_back_step
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.verl_plugin.dataset import CurriculumDataset

Config = Callable[..., DictConfig]


def save_position(folder: Path, dataset: Any, workers: int = 0) -> None:
    """Leave a checkpoint as PPOTrainer._save_checkpoint does, after one step."""
    loader = StatefulDataLoader(
        dataset, batch_size=4, num_workers=workers, drop_last=True, collate_fn=collate_fn
    )
    iterator = iter(loader)
    next(iterator)
    step = folder / "global_step_1"
    step.mkdir(parents=True)
    torch.save(loader.state_dict(), step / "data.pt")
    actor = step / "actor"
    actor.mkdir()
    (actor / "fsdp_config.json").write_text('{"FSDP_version": 2, "world_size": 2}')
    for rank in range(2):
        torch.save({"weight": torch.ones(2)}, actor / f"model_world_size_2_rank_{rank}.pt")
    (folder / "latest_checkpointed_iteration.txt").write_text("1")
    if workers:
        list(iterator)  # lets the loader processes end by themselves


@pytest.fixture
def run(data_folder: Path, tmp_path: Path, run_config: Config, processor: Any) -> DictConfig:
    """A run with a checkpoint after its first step."""
    config = run_config(
        data_folder, "trainer.resume_mode=auto", f"trainer.default_local_dir={tmp_path}/run"
    )
    dataset = CurriculumDataset(
        config.data.train_files, processor.tokenizer, config.data, processor
    )
    save_position(tmp_path / "run", dataset)
    return config


def test_the_same_settings_resume(run: DictConfig) -> None:
    check_resume(run)


def test_a_changed_order_is_refused(run: DictConfig) -> None:
    run.data.curriculum.seed = 9
    with pytest.raises(ConfigError, match="seed: 3 → 9"):
        check_resume(run)


def test_the_dataset_refuses_it_when_it_is_built(run: DictConfig, processor: Any) -> None:
    run.data.curriculum.seed = 9
    with pytest.raises(ConfigError, match="seed: 3 → 9"):
        CurriculumDataset(run.data.train_files, processor.tokenizer, run.data, processor)


@pytest.mark.parametrize(
    "override",
    ["trainer.resume_mode=disable", "trainer.default_local_dir=/nowhere"],
)
def test_a_new_run_is_not_compared(run: DictConfig, override: str) -> None:
    run.data.curriculum.seed = 9
    run.merge_with_dotlist([override])
    check_resume(run)


def test_a_checkpoint_named_by_path_is_checked(run: DictConfig) -> None:
    path = Path(run.trainer.default_local_dir) / "global_step_1"
    run.merge_with_dotlist(["trainer.resume_mode=resume_path", f"trainer.resume_from_path={path}"])
    run.data.train_batch_size = 2
    with pytest.raises(ConfigError, match="train_batch_size: 4 → 2"):
        check_resume(run)


def test_the_number_of_loader_workers_must_fit_the_checkpoint(run: DictConfig) -> None:
    run.data.dataloader_num_workers = 2
    with pytest.raises(ConfigError, match="dataloader_num_workers"):
        check_resume(run)


def test_the_state_of_loader_workers_is_read(
    run: DictConfig, processor: Any, tmp_path: Path
) -> None:
    run.trainer.default_local_dir = str(tmp_path / "other")
    run.data.dataloader_num_workers = 1
    dataset = CurriculumDataset(run.data.train_files, processor.tokenizer, run.data, processor)
    save_position(tmp_path / "other", dataset, workers=1)
    check_resume(run)
    run.data.curriculum.seed = 9
    with pytest.raises(ConfigError, match="seed: 3 → 9"):
        check_resume(run)


def test_a_checkpoint_without_the_curriculum_is_refused(
    run: DictConfig, processor: Any, tmp_path: Path
) -> None:
    stock = RLHFDataset(run.data.train_files, processor.tokenizer, run.data, processor)
    save_position(tmp_path / "stock", stock)
    run.trainer.default_local_dir = str(tmp_path / "stock")
    with pytest.raises(ConfigError, match="without the curriculum"):
        check_resume(run)


@pytest.fixture
def two_checkpoints(run: DictConfig) -> Path:
    """The folder of a run with two checkpoints, the second one the last."""
    root = Path(run.trainer.default_local_dir)
    shutil.copytree(root / "global_step_1", root / "global_step_2")
    (root / "latest_checkpointed_iteration.txt").write_text("2")
    return root


def cut(path: Path) -> None:
    """Truncate a file to its first half, as a full disk or a power failure does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_complete_checkpoint_is_kept(run: DictConfig, two_checkpoints: Path) -> None:
    assert find_damage(two_checkpoints / "global_step_2") == ""
    assert fall_back_step(run) is None
    fall_back(run)
    assert latest_step(two_checkpoints) == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("actor/model_world_size_2_rank_1.pt", "actor/model_world_size_2_rank_1.pt is truncated"),
        ("data.pt", "data.pt is truncated"),
        ("actor/fsdp_config.json", "actor/fsdp_config.json is truncated"),
    ],
)
def test_a_truncated_checkpoint_falls_back_to_the_previous_one(
    run: DictConfig, two_checkpoints: Path, name: str, says: str
) -> None:
    cut(two_checkpoints / "global_step_2" / name)
    assert fall_back_step(run) == (1, says)
    check_resume(run)
    fall_back(run)
    assert latest_step(two_checkpoints) == 1


def test_a_missing_shard(run: DictConfig, two_checkpoints: Path) -> None:
    (two_checkpoints / "global_step_2/actor/model_world_size_2_rank_1.pt").unlink()
    assert fall_back_step(run) == (1, "actor/model_world_size_2_rank_1.pt is missing")


def test_a_checkpoint_without_weights_is_not_complete(
    run: DictConfig, two_checkpoints: Path
) -> None:
    """verl removes the weights of old checkpoints and leaves their positions."""
    shutil.rmtree(two_checkpoints / "global_step_1/actor")
    assert newest_complete_step(two_checkpoints) == 2


@pytest.mark.parametrize("text", ["", "2x", "7"])
def test_an_invalid_tracker_file(run: DictConfig, two_checkpoints: Path, text: str) -> None:
    """A full disk leaves the file empty, and verl fails on it on every attempt."""
    (two_checkpoints / "latest_checkpointed_iteration.txt").write_text(text)
    fall_back(run)
    assert latest_step(two_checkpoints) == 2


def test_without_a_complete_checkpoint(run: DictConfig) -> None:
    cut(Path(run.trainer.default_local_dir) / "global_step_1" / "data.pt")
    with pytest.raises(ConfigError, match="No other checkpoint is complete"):
        fall_back(run)


def test_a_damaged_checkpoint_named_by_path(run: DictConfig, two_checkpoints: Path) -> None:
    path = two_checkpoints / "global_step_2"
    cut(path / "data.pt")
    run.merge_with_dotlist(["trainer.resume_mode=resume_path", f"trainer.resume_from_path={path}"])
    with pytest.raises(ConfigError, match="Name another one"):
        fall_back_step(run)
