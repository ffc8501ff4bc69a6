"""Initialize torch.distributed with a single backend.

Upstream: ``verl/utils/distributed.py`` builds ``f"cpu:gloo,{device}:{backend}"``. On the CPU that
is ``"cpu:gloo,cpu:gloo"``, which torch rejects ("Duplicate device type"). The trainer's workers
call ``initialize_global_process_group_ray``, the SFT trainer ``initialize_global_process_group``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from rewardmap_verl.patching import Patch, Platform

__all__ = ["PATCHES"]

BACKEND = "cpu:gloo"


def initialize_global_process_group(timeout_second: int = 36000) -> tuple[int, int, int]:
    """Join the process group that ``torchrun`` describes in the environment.

    Args:
        timeout_second: Timeout of collective calls in seconds.

    Returns:
        Local rank, rank and world size, as verl's function of this name.
    """
    import torch.distributed

    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    # verl omits rank and size, which only the env:// method allows; file:// needs them.
    torch.distributed.init_process_group(
        backend=BACKEND,
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=timeout_second),
        init_method=os.environ.get("DIST_INIT_METHOD"),
    )
    return int(os.environ["LOCAL_RANK"]), rank, world_size


def with_default_backend(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap verl's function for Ray workers with a default backend that names the CPU once."""

    @functools.wraps(original)
    def initialize_global_process_group_ray(
        timeout_second: int | None = None, backend: str | None = None
    ) -> Any:
        return original(timeout_second=timeout_second, backend=backend or BACKEND)

    return initialize_global_process_group_ray


_UPSTREAM = "verl: do not repeat cpu:gloo where the device is the CPU."
_SEEN_IN = "verl 0.9.1 with torch 2.11.0"

PATCHES = (
    Patch(
        target="verl.utils.distributed:initialize_global_process_group_ray",
        signature="(timeout_second=None, backend=None)",
        replacement=with_default_backend,
        reason='The backend string "cpu:gloo,cpu:gloo" of the workers is rejected by torch.',
        upstream=_UPSTREAM,
        seen_in=_SEEN_IN,
        platform=Platform.CPU,
    ),
    Patch(
        target="verl.utils.distributed:initialize_global_process_group",
        signature="(timeout_second=36000)",
        replacement=lambda _original: initialize_global_process_group,
        reason='The backend string "cpu:gloo,cpu:gloo" of the SFT trainer is rejected by torch.',
        upstream=_UPSTREAM,
        seen_in=_SEEN_IN,
        platform=Platform.CPU,
    ),
)
