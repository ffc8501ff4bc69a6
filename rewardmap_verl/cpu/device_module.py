"""The CPU in the shape of ``torch.cuda``: what verl calls on ``get_torch_device()``.

``torch.cpu`` lacks most of these (torch 2.11.0): ``max_memory_allocated``, ``ipc_collect``,
``mem_get_info``, ``get_rng_state``, … Waiting and freeing have no meaning on a CPU, where every
operation is finished when its call returns, so those do nothing. Amounts of memory are bytes.
"""

from __future__ import annotations

import contextlib
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

DEVICE = torch.device("cpu")


class Stream(contextlib.nullcontext[None]):
    """A queue of operations; on a CPU there is one, and it is always empty."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def wait_stream(self, stream: Stream) -> None:
        """Do nothing: ``stream`` has finished."""

    def wait_event(self, event: Event) -> None:
        """Do nothing: ``event`` has happened."""

    def synchronize(self) -> None:
        """Do nothing: this stream has finished."""


class Event:
    """A mark in a stream; on a CPU it has always been reached."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def record(self, stream: Stream | None = None) -> None:
        """Do nothing: there is no stream to mark."""

    def wait(self, stream: Stream | None = None) -> None:
        """Do nothing: the mark has been reached."""

    def synchronize(self) -> None:
        """Do nothing: the mark has been reached."""


def is_available() -> bool:
    """Whether the device can be used; a CPU always can."""
    return True


def device_count() -> int:
    """How many devices this process sees: one, however many cores it has."""
    return 1


def current_device() -> torch.device:
    """The device to put tensors on.

    A ``torch.device`` and not an index: torch reads the integer 0 as ``cuda:0``.
    """
    return DEVICE


def set_device(device: Any) -> None:
    """Do nothing: there is one device."""


def get_device_name(device: Any = None) -> str:
    """The name of the device for log lines."""
    return "cpu"


def synchronize(device: Any = None) -> None:
    """Do nothing: no operation is pending."""


def empty_cache() -> None:
    """Do nothing: torch keeps no cache of CPU memory."""


def ipc_collect() -> None:
    """Do nothing: no memory is shared through CUDA IPC."""


def memory_allocated(device: Any = None) -> int:
    """Device memory in use: none, there is no device memory."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """Peak of device memory in use: none, there is no device memory."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """Device memory held by the allocator: none, there is no device memory."""
    return 0


def max_memory_reserved(device: Any = None) -> int:
    """Peak of device memory held by the allocator: none, there is no device memory."""
    return 0


def reset_peak_memory_stats(device: Any = None) -> None:
    """Do nothing: no peak is kept."""


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total memory of the host in bytes."""
    memory = psutil.virtual_memory()
    return memory.available, memory.total


def get_rng_state(device: Any = None) -> torch.Tensor:
    """The state of torch's CPU generator."""
    return torch.get_rng_state()


def set_rng_state(state: torch.Tensor, device: Any = None) -> None:
    """Restore the state of torch's CPU generator."""
    torch.set_rng_state(state)


def manual_seed(seed: int) -> None:
    """Seed torch's CPU generator."""
    torch.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed every generator of the device: there is one."""
    torch.manual_seed(seed)


def stream(stream: Stream | None) -> contextlib.AbstractContextManager[None]:
    """Run the block on ``stream``, that is, run the block."""
    return contextlib.nullcontext()


def current_stream(device: Any = None) -> Stream:
    """The stream in use."""
    return Stream()
