"""Checks of the curriculum block and of the rows for its stages."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from rewardmap_verl.curriculum.config import check_run, read_curriculum
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
from rewardmap_verl.preflight.checks.data import check_files
from rewardmap_verl.preflight.checks.values import is_ours
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_curriculum", "check_stages"]


def check_curriculum(config: DictConfig) -> Iterator[Diagnostic]:
    """Validate the block and the settings elsewhere that it depends on."""
    if is_ours(config):
        read_curriculum(config.data)
        check_run(config)
    yield from ()


def check_stages(config: DictConfig) -> Iterator[Diagnostic]:
    """Report stages without enough rows in the data."""
    if is_ours(config) and not list(check_files(config)):
        plan_curriculum(config.data)
    yield from ()
