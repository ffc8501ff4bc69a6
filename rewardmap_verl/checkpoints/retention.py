"""Room for the next checkpoint: old ones go, and a disk that is too full is told in time.

verl 0.9.1 keeps ``trainer.max_actor_ckpt_to_keep`` checkpoints of those that the same process has
written. A resumed run knows of none, so that every attempt would leave as many behind, at 90 GB
each for a 7B model. And on a full disk torch says ``unexpected pos`` or the like. Both are looked
after here, before a step that ends with a checkpoint.
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
    """Where and when a run saves, and how much of it stays."""

    root: Path
    """``trainer.default_local_dir``."""
    every: int
    """Steps between two checkpoints (``trainer.save_freq``); never where it is not above 0."""
    last: int
    """The last step of the run, which is saved as well."""
    keep: int | None
    """Checkpoints that stay (``trainer.max_actor_ckpt_to_keep``); all of them when empty."""
    resumes: bool
    """Whether the run goes on from what lies in ``root``; otherwise that may be another run's."""

    def ends_with_checkpoint(self, step: int) -> bool:
        """Whether verl saves after this step."""
        return self.every > 0 and (step % self.every == 0 or step >= self.last)

    def prepare(self, step: int) -> None:
        """Make room for the checkpoint of a step, if it has one.

        Raises:
            RunStoppedError: The disk cannot hold another checkpoint.
        """
        if self.ends_with_checkpoint(step):
            if self.resumes:
                prune(self.root, self.keep)
            check_room(self.root, step)


def save_policy(trainer: Any) -> SavePolicy | None:
    """How one of verl's trainers saves; ``None`` where that cannot be told."""
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
    """Steps whose weights must go so that with the next checkpoint there are ``keep``.

    The newest whole ones stay, at least the one that the run would resume from; without it, and
    for what is newer, nothing is said.
    """
    last = latest_step(root)
    if not keep or keep < 1 or last is None or find_damage(root / f"global_step_{last}"):
        return []
    older = [step for step in saved_steps(root) if step < last and _weights(root, step).is_dir()]
    whole = [step for step in older if not find_damage(root / f"global_step_{step}")]
    stay = set(whole[: max(keep - 2, 0)])
    return [step for step in older if step not in stay]


def prune(root: Path, keep: int | None) -> list[int]:
    """Remove the weights of :func:`surplus` checkpoints, as verl does with those that it knows;
    their positions, a few kB, stay.

    Returns:
        The steps whose weights are gone.
    """
    steps = surplus(root, keep)
    for step in steps:
        shutil.rmtree(_weights(root, step), ignore_errors=True)
    return steps


def check_room(root: Path, step: int) -> None:
    """Compare what is left on the disk with the size of the last checkpoint.

    Args:
        root: The run's folder of checkpoints.
        step: The step that will be saved; what an earlier attempt left of it is overwritten.

    Raises:
        RunStoppedError: There is less room than the last checkpoint takes.
    """
    lack = "" if latest_step(root) == step else _lack(root, _size(root / f"global_step_{step}"))
    if lack:
        raise RunStoppedError(
            f"rewardmap: the disk is too full for the checkpoint of step {step}: {lack} {RESUME_HINT}"
        )


def room_shortage(root: Path, keep: int | None) -> str:
    """Why the next checkpoint of a run that goes on will not fit; empty where it will, or where
    nobody knows how large it will be. What is removed or overwritten before then counts as room.
    """
    last = latest_step(root)
    if last is None:
        return ""
    removed = sum(_size(_weights(root, step)) for step in surplus(root, keep))
    unfinished = [_size(root / f"global_step_{step}") for step in saved_steps(root) if step > last]
    return _lack(root, removed + sum(unfinished))


def _lack(root: Path, more: int) -> str:
    last = latest_step(root)
    needed = 0 if last is None else _size(root / f"global_step_{last}")
    free = shutil.disk_usage(root).free + more if needed else 0
    if free >= needed:
        return ""
    return (
        f"{root.absolute()} has room for {_megabytes(free)}, and a checkpoint takes "
        f"{_megabytes(needed)}. Make room, or lower trainer.max_actor_ckpt_to_keep."
    )


def _weights(root: Path, step: int) -> Path:
    return root / f"global_step_{step}" / "actor"


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
