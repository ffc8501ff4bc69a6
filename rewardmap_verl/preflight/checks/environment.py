"""Checks of environment variables that stop verl's workers or vLLM after Ray has started."""

from __future__ import annotations

import os
from collections.abc import Iterator

from omegaconf import DictConfig

from rewardmap_verl.preflight.checks.values import select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_allocator", "check_visible_devices", "expandable_segments"]

_ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")


def check_visible_devices(config: DictConfig) -> Iterator[Diagnostic]:
    """Report variables of AMD and NVIDIA devices that are set together; verl's worker raises.

    Slurm sets both on NVIDIA nodes.
    """
    name = "ROCR_VISIBLE_DEVICES"
    others = [
        other for other in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES") if os.environ.get(other)
    ]
    if os.environ.get(name) and others and select(config, "trainer.device") != "cpu":
        yield Diagnostic(
            name,
            f"{others[0]} is set as well, and verl's workers raise a ValueError for that. Slurm "
            f"sets both. On NVIDIA devices: unset {name} on every node.",
            os.environ[name],
        )


def check_allocator(config: DictConfig) -> Iterator[Diagnostic]:
    """Report the allocator setting under which vLLM cannot free its memory for the update."""
    name = expandable_segments()
    sleeps = select(config, "actor_rollout_ref.rollout.enable_sleep_mode", True)
    if name and sleeps and select(config, "trainer.device") != "cpu":
        yield Diagnostic(
            name,
            "vLLM's sleep mode uses a memory pool, which does not support expandable segments; "
            "its engine fails at startup. Unset the variable; verl switches expandable segments on "
            "and off itself.",
            os.environ[name],
        )


def expandable_segments() -> str:
    """Return the variable that switches on torch's expandable segments; empty if none does."""
    found = (
        name
        for name in _ALLOCATOR
        if "expandable_segments:true" in os.environ.get(name, "").lower()
    )
    return next(found, "")
