"""The module that verl loads in every process at the end of ``import verl``.

It is registered as entry point ``verl.plugins``. verl logs a failing plugin only at debug level, so
this module catches and logs its own errors, and ``rewardmap_verl.preflight.callback`` refuses to
train after one. It imports only what it registers: a module that needs verl while verl is still
being imported would fail unseen.
"""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["PROBLEM"]


def load() -> str:
    """Apply the patches, and register the CPU platform and the interpolation of the recipe.

    Returns:
        What went wrong; empty if nothing did.
    """
    try:
        from rewardmap_verl import cpu
        from rewardmap_verl.patching import apply
        from rewardmap_verl.usage_statistics import disable_usage_statistics
        from rewardmap_verl.verl_plugin.patches import EVERY_PLATFORM
        from rewardmap_verl.verl_plugin.router_path import register_router_path

        disable_usage_statistics()
        register_router_path()
        for patch in EVERY_PLATFORM:
            apply(patch)
        cpu.activate()
    except Exception as error:  # verl would swallow it
        problem = f"{type(error).__name__}: {error}"
        logging.getLogger(__name__).error("rewardmap-verl could not be loaded: %s", problem)
        return problem
    return ""


PROBLEM: Final = load()
"""Why loading failed in this process; empty if it did not."""
