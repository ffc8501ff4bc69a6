"""The interface of ``torch.cuda`` for the CPU, as verl calls it on ``get_torch_device()``.

``torch.cpu`` lacks most of it (torch 2.11.0): ``max_memory_allocated``, ``ipc_collect``,
``mem_get_info``, ``get_rng_state`` and others. Operations on a CPU are complete when the call
returns, so functions that wait or free memory do nothing. Memory sizes are in bytes.
"""

from __future__ import annotations

import contextlib
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

DEVICE = torch.device("cpu")


class Stream(contextlib.nullcontext[None]):
    """Queue of operations; the CPU has one, and it is always empty."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def wait_stream(self, stream: Stream) -> None:
        """Do nothing: ``stream`` has finished."""

    def wait_event(self, event: Event) -> None:
        """Do nothing: ``event`` has been reached."""

    def synchronize(self) -> None:
        """Do nothing: this stream has finished."""


class Event:
    """Marker in a stream; on the CPU it has always been reached."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def record(self, stream: Stream | None = None) -> None:
        """Do nothing: there is no stream to mark."""

    def wait(self, stream: Stream | None = None) -> None:
        """Do nothing: the mark has been reached."""

    def synchronize(self) -> None:
        """Do nothing: the mark has been reached."""


def is_available() -> bool:
    """Return whether the device can be used; a CPU always can."""
    return True


def device_count() -> int:
    """Return the number of devices of this process: one, regardless of its cores."""
    return 1


def current_device() -> torch.device:
    """Return the device for tensors.

    It is a ``torch.device``, because torch reads the integer 0 as ``cuda:0``.
    """
    return DEVICE


def set_device(device: Any) -> None:
    """Do nothing: there is one device."""


def get_device_name(device: Any = None) -> str:
    """Return the device's name for log lines."""
    return "cpu"


def synchronize(device: Any = None) -> None:
    """Do nothing: no operation is pending."""


def empty_cache() -> None:
    """Do nothing: torch keeps no cache of CPU memory."""


def ipc_collect() -> None:
    """Do nothing: no memory is shared through CUDA IPC."""


def memory_allocated(device: Any = None) -> int:
    """Return 0: there is no device memory."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """Return 0: there is no device memory."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """Return 0: there is no device memory."""
    return 0


def max_memory_reserved(device: Any = None) -> int:
    """Return 0: there is no device memory."""
    return 0


def reset_peak_memory_stats(device: Any = None) -> None:
    """Do nothing: no peak is recorded."""


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Return free and total memory of the host in bytes."""
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def get_rng_state(device: Any = None) -> torch.Tensor:
    """Return the state of torch's CPU generator."""
    return torch.get_rng_state()


def set_rng_state(state: torch.Tensor, device: Any = None) -> None:
    """Restore the state of torch's CPU generator."""
    torch.set_rng_state(state)


def manual_seed(seed: int) -> None:
    """Seed torch's CPU generator."""
    torch.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed torch's CPU generator, the only one."""
    torch.manual_seed(seed)


def stream(stream: Stream | None) -> contextlib.AbstractContextManager[None]:
    """Run the block; there is only one stream."""
    return contextlib.nullcontext()


def current_stream(device: Any = None) -> Stream:
    """Return the current stream."""
    return Stream()
