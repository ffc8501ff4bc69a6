"""Check, before a run starts, that it would resume with the same training order.

The dataset rejects a changed order when its position is restored, but verl restores it only after
loading the model and validating. These functions read the checkpoint first.
"""

from __future__ import annotations

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
from rewardmap_verl.checkpoints.fsdp_checkpoint import check_safe, read_plain
from rewardmap_verl.curriculum.config import file_names, read_curriculum
from rewardmap_verl.curriculum.fingerprint import Fingerprint, fingerprint, refuse_changes
from rewardmap_verl.curriculum.rows import Files
from rewardmap_verl.errors import ConfigError, DataError

__all__ = [
    "check_resume",
    "check_resumed_files",
    "current_fingerprint",
    "fall_back",
    "fall_back_step",
    "pickled_queue",
]

_WORKERS_KEY = "data.dataloader_num_workers"
_MODE_KEY = "trainer.v1.trainer_mode"


def check_resume(config: DictConfig) -> None:
    """Compare the checkpoint that a run would resume with the settings of the run.

    Args:
        config: The complete configuration of the run.

    Raises:
        ConfigError: The training order has changed, or the position cannot be restored.
        DataError: The data position contains more than plain data.
    """
    folder = _resumed_folder(config)
    state = _load(folder / "data.pt") if folder else None
    if state is None:
        return
    adaptive = read_curriculum(config.data).is_adaptive  # reads in the trainer's process
    workers = 0 if adaptive else OmegaConf.select(config, _WORKERS_KEY, default=0)
    _check_workers(state, workers)
    saved = saved_fingerprint(state)
    if saved is None:
        raise ConfigError(
            folder,
            hint="This checkpoint was written without the curriculum, so its position refers to "
            "other rows. Start a new run with trainer.resume_mode=disable or another "
            "trainer.default_local_dir.",
        )
    refuse_changes(saved, current_fingerprint(config.data))


def check_resumed_files(config: DictConfig, sft: bool = False) -> None:
    """Check that no file of the checkpoint to resume can run code; verl unpickles all of them.

    verl reads files in the folder of a step (SFT trainer, data position) and one level below (PPO
    trainer). Each may be a link.

    Args:
        config: The complete configuration of the run.
        sft: Whether the run is one of verl's SFT trainer.

    Raises:
        DataError: Names the first file with more than tensors and plain data.
    """
    folder = _resumed_by_sft(config) if sft else _resumed_folder(config)
    if folder is not None:
        check_safe(sorted(path for form in ("*.pt", "*/*.pt") for path in folder.glob(form)))


def pickled_queue(config: DictConfig) -> Path | None:
    """Return the folder of TransferQueue's state that the run would unpickle, if there is one.

    Asynchronous trainer modes save prompts in flight as pickles: the controller's state, with
    objects of TransferQueue, and the columns of each storage unit, with whatever the prompts
    hold. Its actors read them in separate processes, so they cannot be restricted to plain data
    from here.
    """
    folder = _resumed_folder(config)
    if folder is None or OmegaConf.select(config, _MODE_KEY, default="sync") == "sync":
        return None
    return path if (path := folder / "transfer_queue").exists() else None


def fall_back_step(config: DictConfig) -> tuple[int, str] | None:
    """Return the earlier checkpoint to resume from if the latest one is damaged.

    Returns:
        The step, and what is wrong with the latest checkpoint; ``None`` if that is complete.

    Raises:
        ConfigError: The latest checkpoint is damaged, and no other is complete or the run names
            this one explicitly.
    """
    folder = _checkpoint(config)
    if folder is None:
        return None
    problem = find_damage(folder)
    if not problem:
        return None
    if OmegaConf.select(config, "trainer.resume_mode") == "resume_path":
        raise ConfigError(
            "trainer.resume_from_path",
            found=str(folder),
            hint=f"This checkpoint cannot be resumed: {problem}. Name another one.",
        )
    complete = newest_complete_step(folder.parent)
    if complete is None:
        raise ConfigError(
            folder,
            hint=f"This checkpoint cannot be resumed: {problem}. No other checkpoint is "
            "complete. Start a new run with trainer.resume_mode=disable or another "
            "trainer.default_local_dir.",
        )
    return complete, problem


def fall_back(config: DictConfig) -> None:
    """Make verl resume from the latest complete checkpoint if its latest one is damaged."""
    found = fall_back_step(config)
    if found is not None:
        set_latest_step(Path(config.trainer.default_local_dir), found[0])


def current_fingerprint(data: DictConfig) -> Fingerprint:
    """Return the fingerprint of the training order that verl's ``data`` block defines."""
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
    """Return the fingerprint in a state of torchdata's StatefulDataLoader; ``None`` if absent.

    With loader workers, each of them holds the state of the dataset; all states are equal.
    """
    snapshot = state.get("_snapshot")
    if snapshot is not None:
        workers = snapshot.get("_worker_snapshots") or {}
        state = next(iter(workers.values()), {}) or {}
    return (state.get("dataset_state") or {}).get("fingerprint")


def _resumed_folder(config: DictConfig) -> Path | None:
    """Return the checkpoint that the run resumes from, after ``fall_back``; ``None`` if new."""
    folder = _checkpoint(config)
    if folder is None or not find_damage(folder):
        return folder
    complete = newest_complete_step(folder.parent)
    return folder if complete is None else folder.parent / f"global_step_{complete}"


def _checkpoint(config: DictConfig) -> Path | None:
    """Return the folder that PPOTrainer._load_checkpoint would load, if any."""
    mode, path, root = _resume_settings(config)
    if mode == "resume_path":
        return Path(str(path))
    if mode != "auto" or not root:
        return None
    root = Path(root)
    if not (root / TRACKER).is_file():
        return None
    step = latest_step(root)
    return root / f"global_step_{'' if step is None else step}"


def _resumed_by_sft(config: DictConfig) -> Path | None:
    """Return the folder that verl's SFT trainer would load, if any."""
    mode, named, root = _resume_settings(config)
    if mode != "disable" and named:
        return Path(str(named))
    step = latest_step(Path(root)) if mode == "auto" and root else None
    return None if step is None else Path(root) / f"global_step_{step}"


def _resume_settings(config: DictConfig) -> tuple[Any, Any, Any]:
    """Return resume mode, named checkpoint and checkpoint folder of a run."""
    keys = ("resume_mode", "resume_from_path", "default_local_dir")
    mode, named, root = (OmegaConf.select(config, f"trainer.{key}") for key in keys)
    return mode, named, root


def _load(path: Path) -> Mapping[str, Any] | None:
    """Return the saved data position; ``None`` if there is none."""
    if not path.is_file():
        return None
    state = read_plain(path)
    if not isinstance(state, Mapping):
        raise DataError(path, found=type(state).__name__, hint="It is not a data position of verl.")
    return state


def _check_workers(state: Mapping[str, Any], workers: int) -> None:
    saved_with_workers = "_snapshot" in state
    if saved_with_workers != (workers > 0):
        raise ConfigError(
            _WORKERS_KEY,
            found=workers,
            hint="The checkpoint was written "
            + ("with loader workers" if saved_with_workers else "with 0")
            + "; torchdata cannot restore the position otherwise. Use the earlier setting.",
        )
