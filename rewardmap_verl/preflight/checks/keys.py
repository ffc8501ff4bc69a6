"""Checks of keys and class paths that are no longer read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.preflight.checks.values import select
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.preflight.moved import moved_keys, moved_values

__all__ = ["check_ignored_keys", "check_moved"]

_RENAMED_BY_VERL = (
    ("custom_reward_function.path", "reward.custom_reward_function.path"),
    ("reward_model.reward_manager", "reward.reward_manager"),
    ("reward_model.reward_loop_module_path", "reward.reward_manager.module.path"),
    ("reward_model.enable", "reward.reward_model.enable"),
    ("reward_model.model.path", "reward.reward_model.model_path"),
    ("reward_model.num_workers", "reward.num_workers"),
)
"""Top-level keys that verl 0.9.1 accepts and ignores, with their replacements."""


def check_moved(config: DictConfig) -> Iterator[Diagnostic]:
    """Report keys and class paths of earlier versions of this package, with the new ones."""
    plain: Any = OmegaConf.to_container(config, resolve=False)
    if isinstance(plain, dict):
        yield from moved_keys(plain)
        yield from moved_values(plain)


def check_ignored_keys(config: DictConfig) -> Iterator[Diagnostic]:
    """Report keys that verl 0.9.1 accepts and does not read."""
    for old, new in _RENAMED_BY_VERL:
        if (found := select(config, old)) is not None:
            yield Diagnostic(old, f"verl 0.9.1 ignores this key. Use {new}.", found)
    if (found := select(config, "data.sampler")) is not None:
        yield Diagnostic(
            "data.sampler",
            "verl has no custom samplers since 0.8. Use data.curriculum.",
            found,
        )
    if select(config, "data.mm_processor_kwargs.max_pixels") is not None:
        yield Diagnostic(
            "data.mm_processor_kwargs.max_pixels",
            "transformers 5.9 ignores it. Prepare the data with another pixel budget instead: "
            "rewardmap prepare --help.",
        )
    if select(config, "actor_rollout_ref.actor.freeze_vision_tower", False):
        yield Diagnostic(
            "actor_rollout_ref.actor.freeze_vision_tower",
            "verl 0.9.1 does not read this key. '+recipe/rewardmap=[frozen_vision]' freezes the "
            "vision tower; '+recipe/rewardmap=[lora]' trains adapters of the other layers.",
        )
