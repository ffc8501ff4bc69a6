"""verl on the CPU: what stock verl and vLLM need in order to train without an accelerator.

verl has no CPU platform (its users ask for one in verl issue 3266). This package adds one through
verl's and vLLM's own entry points; no file of theirs is edited. Each adaptation is one module that
states what bites upstream, why, and in which version that was seen. When an upgrade of verl or vLLM
makes one of them unnecessary, delete its module and its line in :func:`activate`.

All of it is inert unless ``VERL_PLATFORM=cpu`` is in the environment.
"""

from __future__ import annotations

import sys

from rewardmap_verl.cpu.environment import cpu_is_selected

__all__ = ["activate", "cpu_is_selected"]


def activate() -> bool:
    """Register the CPU platform and apply the adaptations, if ``VERL_PLATFORM`` asks for the CPU.

    Called from the ``verl.plugins`` entry point, that is at the end of ``import verl`` in every
    process. Applying it twice is harmless.

    Returns:
        Whether the CPU platform is now active.
    """
    if not cpu_is_selected():
        return False
    # Imported here so that a run on a GPU never loads them.
    from rewardmap_verl.cpu import (
        actor_batches,
        environment,
        gc_tuning,
        log_probs,
        pinned_memory,
        platform,
        position_ids,
        prefork,
        process_group,
        sharding,
        vllm_version,
    )

    environment.set_defaults()
    if prefork.trains(sys.orig_argv):
        prefork.start_here()
    gc_tuning.collect_rarely()
    platform.register()
    process_group.apply()
    pinned_memory.apply()
    position_ids.apply()
    log_probs.apply()
    actor_batches.apply()
    sharding.apply()
    vllm_version.apply()
    return True
