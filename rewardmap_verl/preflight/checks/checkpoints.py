"""Checks of the checkpoint to resume from, and of the disk for the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.checkpoints.resume import (
    check_resume,
    check_resumed_files,
    fall_back_step,
    pickled_queue,
)
from rewardmap_verl.checkpoints.retention import room_shortage
from rewardmap_verl.preflight.checks.data import check_files
from rewardmap_verl.preflight.checks.values import is_ours, select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_disk", "check_pickles", "check_position", "check_sft_pickles"]

_ALLOW_KEY = "trainer.allow_pickled_prompts"


def check_position(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a checkpoint that is damaged or was written with another training order."""
    if not is_ours(config) or list(check_files(config)):
        return
    if (found := fall_back_step(config)) is not None:
        step, problem = found
        yield Diagnostic(
            "trainer.default_local_dir",
            f"The last checkpoint is damaged ({problem}); the run resumes from step {step}.",
            str(select(config, "trainer.default_local_dir")),
            stops=False,
        )
    check_resume(config)


def check_pickles(config: DictConfig) -> Iterator[Diagnostic]:
    """Report files of the checkpoint to resume that could run code."""
    queue = pickled_queue(config)
    if queue is not None and select(config, _ALLOW_KEY) is not True:
        mode = select(config, "trainer.v1.trainer_mode")
        yield Diagnostic(
            str(queue),
            f"verl unpickles this folder in the trainer mode {mode}, which can run code. If you "
            f"wrote the checkpoint, set {_ALLOW_KEY}=True. Otherwise remove the folder: the run "
            "resumes, and prompts that were in flight are not trained.",
        )
    check_resumed_files(config)


def check_sft_pickles(config: DictConfig) -> Iterator[Diagnostic]:
    """Report files of the SFT checkpoint to resume that could run code."""
    check_resumed_files(config, sft=True)
    return iter(())


def check_disk(config: DictConfig) -> Iterator[Diagnostic]:
    """Warn if the next checkpoint does not fit on the disk."""
    root = select(config, "trainer.default_local_dir")
    saves = (select(config, "trainer.save_freq") or 0) > 0
    if not root or not saves or select(config, "trainer.resume_mode") != "auto":
        return
    shortage = room_shortage(Path(str(root)), select(config, "trainer.max_actor_ckpt_to_keep"))
    if shortage:
        yield Diagnostic("trainer.default_local_dir", shortage, stops=False)
