"""Keep FSDP2's offloaded parameters in ordinary memory.

Upstream: for the reference policy verl requests ``CPUOffloadPolicy(pin_memory=True)``
(``verl/workers/engine/fsdp/transformer_impl.py``). Pinning needs the driver of an accelerator and
fails without one ("Cannot access accelerator device when none is available").
"""

from __future__ import annotations

from typing import Any

from rewardmap_verl.patching import Patch, Platform

__all__ = ["PATCH"]


def ignore_pin_memory(self: Any, pin_memory: bool = True) -> None:
    """Initialize a ``CPUOffloadPolicy`` without pinned memory."""
    object.__setattr__(self, "pin_memory", False)


PATCH = Patch(
    target="torch.distributed.fsdp:CPUOffloadPolicy.__init__",
    signature="(self, pin_memory=True)",
    replacement=lambda _original: ignore_pin_memory,
    reason="verl pins offloaded parameters, which needs the driver of an accelerator.",
    upstream="verl: derive pin_memory from the platform.",
    seen_in="verl 0.9.1 with torch 2.11.0",
    platform=Platform.CPU,
)
