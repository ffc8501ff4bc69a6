"""The ``cpu`` platform of verl (its registry is meant for platforms from outside).

Upstream: verl 0.9.1 registers ``nvidia``, ``rocm`` and ``huawei`` and falls back to ``nvidia``
on a machine without an accelerator; CPU training is asked for in verl issue 3266.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry

from rewardmap_verl.cpu import device_module
from rewardmap_verl.cpu.environment import cpu_is_selected

NAME = "cpu"


class CpuPlatform(PlatformBase):
    """One host CPU, seen by verl as one device per worker."""

    @property
    def device_name(self) -> str:
        """The device type that torch knows."""
        return NAME

    @property
    def vendor_name(self) -> str:
        """Any maker's CPU."""
        return NAME

    @property
    def device_module(self) -> ModuleType:
        """What verl uses where it would use ``torch.cuda``."""
        return device_module

    def is_available(self) -> bool:
        """A CPU is always there."""
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """Take part in auto-detection only when the user asked for the CPU.

        The head node of a GPU cluster often has no GPU; picking the CPU there by itself would give
        the driver another platform than its workers.
        """
        return cpu_is_selected()

    def current_device(self) -> Any:
        """The ``torch.device`` of the CPU; an int, as verl annotates it, means CUDA to torch."""
        return device_module.current_device()

    def device_count(self) -> int:
        """One device per process."""
        return device_module.device_count()

    def set_device(self, device_index: int) -> None:
        """Do nothing: there is one device."""

    def synchronize(self, device_index: int | None = None) -> None:
        """Do nothing: no operation is pending."""

    def manual_seed(self, seed: int) -> None:
        """Seed torch's CPU generator."""
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        """Seed torch's CPU generator, the only one."""
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        """Do nothing: the settings are those of the CUDA allocator."""

    def empty_cache(self) -> None:
        """Do nothing: torch keeps no cache of CPU memory."""

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        """No compute capability."""
        return None, None

    def communication_backend_name(self) -> str:
        """The backend of torch.distributed that works on CPUs."""
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """The variable that goes with the Ray resource below; verl writes it, nobody reads it."""
        return "CUDA_VISIBLE_DEVICES"

    @contextlib.contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """Run the block: there is no NVIDIA profiler to mark it for."""
        yield

    def profiler_start(self) -> None:
        """Do nothing: there is no device profiler."""

    def profiler_stop(self) -> None:
        """Do nothing: there is no device profiler."""

    def ray_resource_name(self) -> str:
        """``GPU``, of which the recipe tells Ray that the host has some (``ray_init.num_gpus``).

        verl reads ``get_accelerator_ids()[resource][0]`` in every worker, and Ray hands such ids
        out for the accelerators that it knows, not for CPUs or custom resources. (Ray 2.60)
        """
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """No variable keeps Ray from setting visible devices: it may."""
        return []

    def is_ipc_supported(self) -> bool:
        """Without CUDA IPC verl sends new weights to vLLM through POSIX shared memory."""
        return False

    def cudart(self) -> None:
        """No CUDA runtime."""


def register() -> None:
    """Make ``VERL_PLATFORM=cpu`` known to verl, once."""
    if PlatformRegistry.get(NAME) is CpuPlatform:
        return
    PlatformRegistry.register(platform=NAME)(CpuPlatform)
