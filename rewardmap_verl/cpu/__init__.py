"""verl on the CPU: what stock verl and vLLM need to train without an accelerator.

verl has no CPU platform; its users ask for one in verl issue 3266. This package adds one through
verl's and vLLM's entry points, without editing their files. Each adaptation is a module that states
the upstream cause and the version in which it was seen. If an upgrade of verl or vLLM makes one
unnecessary, delete its module and its line in ``patches``.

All of it is inert unless ``VERL_PLATFORM=cpu`` is in the environment.
"""

from __future__ import annotations

from rewardmap_verl.cpu.environment import cpu_is_selected

__all__ = ["activate", "cpu_is_selected"]


def activate() -> bool:
    """Register the CPU platform and apply its patches if ``VERL_PLATFORM`` selects the CPU.

    Called through the ``verl.plugins`` entry point, at the end of ``import verl`` in every process.
    Idempotent.

    Returns:
        Whether the CPU platform is active.
    """
    if not cpu_is_selected():
        return False
    # Imported here so that a run on a GPU does not load them.
    from rewardmap_verl.cpu import environment, platform
    from rewardmap_verl.cpu.patches import VERL_PATCHES
    from rewardmap_verl.patching import apply

    environment.set_defaults()
    platform.register()
    for patch in VERL_PATCHES:
        apply(patch)
    return True
