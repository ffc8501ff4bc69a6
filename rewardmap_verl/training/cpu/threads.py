"""Threads of the workers that hold the actor and the reference model.

All processes of a run on the CPU have one thread each (``OMP_NUM_THREADS``), since generation keeps
several of them busy at a time. But in the three passes of a step one waits for the workers, and
other cores idle. So workers share the cores among them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["VARIABLE", "default", "of_a_worker", "use"]

VARIABLE = "REWARDMAP_WORKER_THREADS"
"""Variable with the threads of all workers of a machine together."""

MOST = 4
"""By default: more do not speed up the small matrices of a model that trains on a CPU."""


def default() -> str:
    """The cores that this process may use, :data:`MOST` at most."""
    known = getattr(os, "sched_getaffinity", None)  # of Linux
    cores = len(known(0)) if known else os.cpu_count() or 1
    return str(min(cores, MOST))


def of_a_worker(environ: Mapping[str, str]) -> int:
    """Threads of one worker, at least one; 1 if :data:`VARIABLE` is no number."""
    given, workers = environ.get(VARIABLE, ""), environ.get("RAY_LOCAL_WORLD_SIZE", "")
    if not given.isdecimal():
        return 1
    return max(1, int(given) // (int(workers) if workers.isdecimal() and int(workers) else 1))


def use() -> None:
    """Give torch in this worker its share."""
    import torch

    torch.set_num_threads(of_a_worker(os.environ))
