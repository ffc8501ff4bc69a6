"""Before a run starts: would it go on where its checkpoint stopped, with the same rows?

The dataset refuses a changed order itself when the position is restored, but verl restores it after
the model is loaded and validated. This looks into the checkpoint first.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.checkpoints.folders import (
    TRACKER,
    find_damage,
    latest_step,
    newest_complete_step,
    set_latest_step,
)
from rewardmap_verl.curriculum.config import file_names, read_curriculum
from rewardmap_verl.curriculum.fingerprint import Fingerprint, fingerprint, refuse_changes
from rewardmap_verl.curriculum.rows import Files
from rewardmap_verl.errors import ConfigError

__all__ = ["check_resume", "current_fingerprint", "fall_back", "fall_back_step"]

_WORKERS_KEY = "data.dataloader_num_workers"


def check_resume(config: DictConfig) -> None:
    """Compare the checkpoint that a run would resume with the run's settings.

    Args:
        config: The whole configuration of the run.

    Raises:
        ConfigError: The training order has changed, or the position cannot be restored.
    """
    folder = _checkpoint(config)
    if (
        folder is not None
        and find_damage(folder)
        and (whole := newest_complete_step(folder.parent)) is not None
    ):
        folder = folder.parent / f"global_step_{whole}"  # see fall_back
    state = _load(folder / "data.pt") if folder else None
    if state is None:
        return
    adaptive = read_curriculum(config.data).is_adaptive  # reads in the trainer's own process
    workers = 0 if adaptive else OmegaConf.select(config, _WORKERS_KEY, default=0)
    _check_workers(state, workers)
    saved = saved_fingerprint(state)
    if saved is None:
        raise ConfigError(
            folder,
            hint="This checkpoint was written without the curriculum, so its position means other "
            "rows. Begin a new run with trainer.resume_mode=disable or another "
            "trainer.default_local_dir.",
        )
    refuse_changes(saved, current_fingerprint(config.data))


def fall_back_step(config: DictConfig) -> tuple[int, str] | None:
    """An earlier checkpoint that the run must go on from, since its last one is damaged.

    Returns:
        Its step, and what is wrong with the last one; ``None`` when nothing is to be done.

    Raises:
        ConfigError: The last checkpoint is damaged and there is no other, or the run names it.
    """
    folder = _checkpoint(config)
    if folder is None:
        return None
    wrong = find_damage(folder)
    if not wrong:
        return None
    if OmegaConf.select(config, "trainer.resume_mode") == "resume_path":
        raise ConfigError(
            "trainer.resume_from_path",
            found=str(folder),
            hint=f"This checkpoint cannot be resumed: {wrong}. Name another one.",
        )
    whole = newest_complete_step(folder.parent)
    if whole is None:
        raise ConfigError(
            folder,
            hint=f"This checkpoint cannot be resumed: {wrong}. There is no other that is whole, so "
            "begin a new run with trainer.resume_mode=disable or another "
            "trainer.default_local_dir.",
        )
    return whole, wrong


def fall_back(config: DictConfig) -> None:
    """Have verl resume from the last checkpoint that is whole, where its last one is damaged."""
    found = fall_back_step(config)
    if found is not None:
        set_latest_step(Path(config.trainer.default_local_dir), found[0])


def current_fingerprint(data: DictConfig) -> Fingerprint:
    """The fingerprint of the training order that verl's ``data`` block asks for."""
    files = Files.from_names(file_names(data.train_files))
    rows = sum(files.row_counts)
    limit = data.get("train_max_samples", -1)
    return fingerprint(
        read_curriculum(data),
        data.train_batch_size,
        files.paths,
        min(rows, limit) if limit > 0 else rows,
    )


def saved_fingerprint(state: Mapping[str, Any]) -> Fingerprint | None:
    """The fingerprint in a saved state of torchdata's StatefulDataLoader; ``None`` without one.

    With loader processes, each of them keeps the dataset's state; they are all the same.
    """
    snapshot = state.get("_snapshot")
    if snapshot is not None:
        workers = snapshot.get("_worker_snapshots") or {}
        state = next(iter(workers.values()), {}) or {}
    return (state.get("dataset_state") or {}).get("fingerprint")


def _checkpoint(config: DictConfig) -> Path | None:
    """The folder that PPOTrainer._load_checkpoint would load, if it exists."""
    mode, path, root = (
        OmegaConf.select(config, f"trainer.{key}")
        for key in ("resume_mode", "resume_from_path", "default_local_dir")
    )
    if mode == "resume_path":
        return Path(str(path))
    if mode != "auto" or not root:
        return None
    root = Path(root)
    if not (root / TRACKER).is_file():
        return None
    step = latest_step(root)
    return root / f"global_step_{'' if step is None else step}"


def _load(path: Path) -> Mapping[str, Any] | None:
    """The saved position; ``None`` where there is none, or none that is plain data."""
    import torch

    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return None
    return state if isinstance(state, Mapping) else None


def _check_workers(state: Mapping[str, Any], workers: int) -> None:
    saved_with_workers = "_snapshot" in state
    if saved_with_workers != (workers > 0):
        raise ConfigError(
            _WORKERS_KEY,
            found=workers,
            hint="The checkpoint was written "
            + ("with loader processes" if saved_with_workers else "with 0")
            + "; torchdata cannot restore a position across that. Set it as it was.",
        )
