"""Checks of the curriculum block and of the rows for its stages."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from rewardmap_verl.curriculum.config import check_run, read_curriculum
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
from rewardmap_verl.preflight.checks.data import check_files
from rewardmap_verl.preflight.checks.values import is_ours, select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_curriculum", "check_stages", "check_trainer"]


def check_curriculum(config: DictConfig) -> Iterator[Diagnostic]:
    """Validate the block and the settings elsewhere that it depends on."""
    if is_ours(config):
        read_curriculum(config.data)
        check_run(config)
    yield from ()


def check_trainer(config: DictConfig) -> Iterator[Diagnostic]:
    """Report verl's older trainer, which uses neither our replay buffer nor our agent loop."""
    if is_ours(config) and not select(config, "trainer.use_v1", True):
        yield Diagnostic(
            "trainer.use_v1",
            "Curriculum, metrics and watchdog need verl's V1 trainer. Set it to True.",
            False,
        )


def check_stages(config: DictConfig) -> Iterator[Diagnostic]:
    """Report stages without enough rows in the data."""
    if is_ours(config) and not list(check_files(config)):
        plan_curriculum(config.data)
    yield from ()
