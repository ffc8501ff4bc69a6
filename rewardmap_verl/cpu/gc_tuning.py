"""Start processes faster: let Python look for garbage cycles less often.

A run starts ten processes or so, and each imports torch, transformers, vLLM and verl: half a
million objects that stay for good, which the collector visits again and again while they appear.
Of the CPU seconds of ``import verl.trainer.ppo.v1`` a quarter is spent on that (Python 3.11, verl
0.9.1: 11.9 s, and 8.7 s without a collector); looking rarely saves a tenth of them.

:func:`collect_rarely` runs at the end of ``import verl`` and, earlier, as the hook that Ray calls
in each of its workers (``ray_kwargs.ray_init.runtime_env.worker_process_setup_hook``).
"""

from __future__ import annotations

import gc

__all__ = ["collect_rarely"]

NEW_OBJECTS = 100_000
"""New objects before a young collection; Python's own number is 700."""


def collect_rarely() -> None:
    """Collect young cycles after 100,000 new objects; anything larger that the user set stays.

    Only for runs on a CPU: there, cycles hold no memory of an accelerator.
    """
    young, middle, old = gc.get_threshold()
    if 0 < young < NEW_OBJECTS:
        gc.set_threshold(NEW_OBJECTS, middle, old)
