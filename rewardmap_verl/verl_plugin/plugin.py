"""What verl loads in every process, at the end of ``import verl`` (entry point ``verl.plugins``).

verl reports a plugin that fails only at debug level, so this module catches and reports its own
failures, and :mod:`rewardmap_verl.preflight.callback` refuses to train when there was one. It imports
only what it registers: a module that needs verl while verl is still being imported fails unseen.
"""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["PROBLEM"]


def load() -> str:
    """Register what verl must know, and say what went wrong; empty when nothing did."""
    try:
        from rewardmap_verl import cpu

        cpu.activate()
    except Exception as error:  # verl would swallow it; nothing may stay unsaid
        problem = f"{type(error).__name__}: {error}"
        logging.getLogger(__name__).error("rewardmap-verl could not be loaded: %s", problem)
        return problem
    return ""


PROBLEM: Final = load()
"""Why loading failed in this process; empty when it did not."""
