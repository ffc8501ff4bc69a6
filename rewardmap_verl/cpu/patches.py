"""The runtime patches of the CPU platform. Importing this module applies none of them."""

from __future__ import annotations

from rewardmap_verl.cpu import (
    log_probs,
    pinned_memory,
    process_group,
    vllm_plugin,
    vllm_version,
)
from rewardmap_verl.patching import Patch

__all__ = ["CPU_PATCHES", "VERL_PATCHES"]

VERL_PATCHES: tuple[Patch, ...] = (
    *process_group.PATCHES,
    pinned_memory.PATCH,
    log_probs.PATCH,
    vllm_version.PATCH,
)
"""Applied by verl's plugin in every process of a CPU run."""

CPU_PATCHES: tuple[Patch, ...] = (*VERL_PATCHES, vllm_plugin.PATCH)
"""All patches of the CPU platform. vLLM's plugin applies the last one."""
