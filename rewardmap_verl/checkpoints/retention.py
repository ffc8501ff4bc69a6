"""Remove old checkpoints and check free disk space before the next one is saved.

verl 0.9.1 keeps ``trainer.max_actor_ckpt_to_keep`` of the checkpoints that the same process has
written. A resumed run does not know the earlier ones, so every attempt would leave that many
behind, at 90 GB each for a 7B model. On a full disk torch fails with messages such as
``unexpected pos``. This module handles both before a step that ends with a checkpoint.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.checkpoints.folders import find_damage, latest_step, saved_steps
from rewardmap_verl.errors import RESUME_HINT, RunStoppedError

__all__ = ["SavePolicy", "check_room", "prune", "room_shortage", "save_policy", "surplus"]


@dataclass(frozen=True, slots=True)
class SavePolicy:
    """Where and when a run saves, and how many checkpoints it keeps."""

    root: Path
    """``trainer.default_local_dir``."""
    every: int
    """Steps between two checkpoints (``trainer.save_freq``); 0 or less: never."""
    last: int
    """Last step of the run, which is always saved."""
    keep: int | None
    """Checkpoints to keep (``trainer.max_actor_ckpt_to_keep``); all if ``None``."""
    resumes: bool
    """Whether the run resumes from ``root``; otherwise its content may belong to another run."""

    def ends_with_checkpoint(self, step: int) -> bool:
        """Return whether verl saves after this step."""
        return self.every > 0 and (step % self.every == 0 or step >= self.last)

    def prepare(self, step: int) -> None:
        """Free space for the checkpoint of a step, if it has one.

        Raises:
            RunStoppedError: The disk cannot hold another checkpoint.
        """
        if self.ends_with_checkpoint(step):
            if self.resumes:
                prune(self.root, self.keep)
            check_room(self.root, step)


def save_policy(trainer: Any) -> SavePolicy | None:
    """Return the save policy of a verl trainer; ``None`` if it has none."""
    settings = getattr(getattr(trainer, "config", None), "trainer", None)
    if settings is None or not settings.get("default_local_dir"):
        return None
    return SavePolicy(
        root=Path(str(settings.default_local_dir)),
        every=int(settings.get("save_freq") or 0),
        last=int(trainer.total_training_steps),
        keep=settings.get("max_actor_ckpt_to_keep"),
        resumes=settings.get("resume_mode", "auto") == "auto",
    )


def surplus(root: Path, keep: int | None) -> list[int]:
    """Return the steps whose weights to remove, so that ``keep`` remain with the next one.

    The newest complete checkpoints stay, and always the one that the run would resume from.
    If that one is missing, no step is returned, and steps after it never are.
    """
    last = latest_step(root)
    if not keep or keep < 1 or last is None or find_damage(root / f"global_step_{last}"):
        return []
    older = [step for step in saved_steps(root) if step < last and _weights(root, step).is_dir()]
    complete = [step for step in older if not find_damage(root / f"global_step_{step}")]
    stay = set(complete[: max(keep - 2, 0)])
    return [step for step in older if step not in stay]


def prune(root: Path, keep: int | None) -> list[int]:
    """Remove the weights of ``surplus`` checkpoints, as verl does with its own.

    The data positions, a few kB each, stay.

    Returns:
        The steps whose weights were removed.
    """
    steps = surplus(root, keep)
    for step in steps:
        shutil.rmtree(_weights(root, step), ignore_errors=True)
    return steps


def check_room(root: Path, step: int) -> None:
    """Compare the free disk space with the size of the last checkpoint.

    Args:
        root: The run's checkpoint folder.
        step: Step to be saved. Files of it from an earlier attempt are overwritten.

    Raises:
        RunStoppedError: There is less free space than the last checkpoint takes.
    """
    shortage = (
        "" if latest_step(root) == step else _shortage(root, _size(root / f"global_step_{step}"))
    )
    if shortage:
        raise RunStoppedError(
            f"rewardmap: the disk is too full for the checkpoint of step {step}: {shortage} "
            f"{RESUME_HINT}"
        )


def room_shortage(root: Path, keep: int | None) -> str:
    """Return why the next checkpoint of a resumed run does not fit; empty if it does.

    The size of the last checkpoint is the estimate; without one the result is empty. Checkpoints
    that are removed or overwritten before then count as free space.
    """
    last = latest_step(root)
    if last is None:
        return ""
    removed = sum(_size(_weights(root, step)) for step in surplus(root, keep))
    unfinished = [_size(root / f"global_step_{step}") for step in saved_steps(root) if step > last]
    return _shortage(root, removed + sum(unfinished))


def _shortage(root: Path, more: int) -> str:
    last = latest_step(root)
    needed = 0 if last is None else _size(root / f"global_step_{last}")
    free = shutil.disk_usage(root).free + more if needed else 0
    if free >= needed:
        return ""
    return (
        f"{root.absolute()} has {_gigabytes(free)} of free space, and a checkpoint takes "
        f"{_gigabytes(needed)}. Free some space, or lower trainer.max_actor_ckpt_to_keep."
    )


def _weights(root: Path, step: int) -> Path:
    return root / f"global_step_{step}" / "actor"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
