"""Start torch.distributed on one backend.

Upstream: ``verl/utils/distributed.py`` builds ``f"cpu:gloo,{device}:{backend}"``. On the CPU that
is ``"cpu:gloo,cpu:gloo"``, which torch refuses ("Duplicate device type"). The trainer's workers use
``initialize_global_process_group_ray``, the SFT trainer ``initialize_global_process_group``.
Seen in verl 0.9.1 with torch 2.11.0.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

BACKEND = "cpu:gloo"


def initialize_global_process_group(timeout_second: int = 36000) -> tuple[int, int, int]:
    """Join the process group that ``torchrun`` describes in the environment.

    Args:
        timeout_second: how long a collective call may wait, in seconds.

    Returns:
        Local rank, rank and world size, as verl's function of this name does.
    """
    import torch.distributed

    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    # verl leaves rank and size out, which only the env:// method allows; file:// needs them.
    torch.distributed.init_process_group(
        backend=BACKEND,
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=timeout_second),
        init_method=os.environ.get("DIST_INIT_METHOD"),
    )
    return int(os.environ["LOCAL_RANK"]), rank, world_size


def apply() -> None:
    """Give both of verl's functions a backend string that names the CPU once."""
    from verl.utils import distributed

    original = distributed.initialize_global_process_group_ray
    if getattr(original, "names_cpu_once", False):
        return

    def initialize_global_process_group_ray(
        timeout_second: int | None = None, backend: str | None = None
    ) -> Any:
        return original(timeout_second=timeout_second, backend=backend or BACKEND)

    initialize_global_process_group_ray.names_cpu_once = True  # type: ignore[attr-defined]
    distributed.initialize_global_process_group_ray = initialize_global_process_group_ray
    distributed.initialize_global_process_group = initialize_global_process_group
