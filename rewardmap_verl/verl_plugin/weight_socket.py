"""Give the weight transfer of each run a socket of its own.

After every step the actor sends its weights to vLLM through a socket in ``/tmp``, which verl names
after Ray's job, so that runs on one machine do not collide. Each Ray instance counts its jobs from
1, so runs that start their own Ray all have the same name: two of them on one machine take each
other's socket away. A run then waits forever, or vLLM samples with the weights of the other run.
The process id of the raylet tells instances apart, and all processes of a run on one machine know
it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from rewardmap_verl.patching import Patch

__all__ = ["PATCHES", "own_socket"]

_MODULE: Final = "verl.workers.rollout.vllm_rollout.bucketed_weight_transfer"
_SUFFIX: Final = ".sock"


def own_socket(handle: str, environment: Mapping[str, str]) -> str:
    """Return the name of a weight socket with the process id of this machine's raylet in it.

    Args:
        handle: Name from verl, such as ``ipc:///tmp/rl-colocate-zmq-01000000-….sock``.
        environment: Environment of the process; Ray sets ``RAY_RAYLET_PID`` in its workers, and
            vLLM's processes inherit it.
    """
    raylet = environment.get("RAY_RAYLET_PID")
    if not raylet or not handle.endswith(_SUFFIX):
        return handle
    return f"{handle.removesuffix(_SUFFIX)}-raylet-{raylet}{_SUFFIX}"


def _with_own_socket(original: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor of the sender or the receiver that uses ``own_socket``."""

    @functools.wraps(original)
    def construct(self: Any, zmq_handle: str, *args: Any, **kwargs: Any) -> None:
        original(self, own_socket(zmq_handle, os.environ), *args, **kwargs)

    return construct


def _patch(name: str, signature: str) -> Patch:
    return Patch(
        target=f"{_MODULE}:{name}.__init__",
        signature=signature,
        replacement=_with_own_socket,
        reason="Runs with a Ray instance of their own use one socket in /tmp for the weights.",
        upstream="verl: name the socket after the Ray session, not the Ray job.",
        seen_in="verl 0.9.1 with Ray 2.60.0",
        on_import=True,
    )


PATCHES: Final = (
    _patch("BucketedWeightSender", "(self, zmq_handle, bucket_size_mb=512, use_shm=False)"),
    _patch("BucketedWeightReceiver", "(self, zmq_handle, device, use_shm=False)"),
)
