"""The ``cpu`` platform, registered through verl's registry of platforms.

Upstream: verl 0.9.1 registers ``nvidia``, ``rocm`` and ``huawei`` and falls back to ``nvidia``
on a machine without an accelerator. verl issue 3266 asks for training on CPUs.
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
    """The host CPU as one device per worker."""

    @property
    def device_name(self) -> str:
        """Device type of torch."""
        return NAME

    @property
    def vendor_name(self) -> str:
        """Name of the vendor; the same for all CPUs."""
        return NAME

    @property
    def device_module(self) -> ModuleType:
        """Module that verl uses in place of ``torch.cuda``."""
        return device_module

    def is_available(self) -> bool:
        """Return True: a CPU is always available."""
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        """Return whether the user selected the CPU; it is never auto-detected.

        The head node of a GPU cluster often has no GPU. Detecting the CPU there would give the
        driver another platform than its workers.
        """
        return cpu_is_selected()

    def current_device(self) -> Any:
        """Return the ``torch.device`` of the CPU; torch would read an int as a CUDA device."""
        return device_module.current_device()

    def device_count(self) -> int:
        """Return 1: one device per process."""
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
        """Do nothing: the settings are for the CUDA allocator."""

    def empty_cache(self) -> None:
        """Do nothing: torch keeps no cache of CPU memory."""

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        """Return no compute capability."""
        return None, None

    def communication_backend_name(self) -> str:
        """Return the backend of torch.distributed for CPUs."""
        return "gloo"

    def visible_devices_envvar(self) -> str:
        """Return the variable that belongs to the Ray resource below; verl only writes it."""
        return "CUDA_VISIBLE_DEVICES"

    @contextlib.contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        """Run the block: there is no NVIDIA profiler."""
        yield

    def profiler_start(self) -> None:
        """Do nothing: there is no device profiler."""

    def profiler_stop(self) -> None:
        """Do nothing: there is no device profiler."""

    def ray_resource_name(self) -> str:
        """Return ``GPU``; the recipe declares a number of them to Ray (``ray_init.num_gpus``).

        verl reads ``get_accelerator_ids()[resource][0]`` in every worker. Ray 2.60 assigns such ids
        for known accelerators only, not for CPUs or custom resources.
        """
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        """Return no variables: Ray may set the visible devices."""
        return []

    def is_ipc_supported(self) -> bool:
        """Return False, so that verl transfers weights to vLLM through POSIX shared memory."""
        return False

    def cudart(self) -> None:
        """Return None: there is no CUDA runtime."""


def register() -> None:
    """Register ``VERL_PLATFORM=cpu`` with verl. Idempotent."""
    if PlatformRegistry.get(NAME) is CpuPlatform:
        return
    PlatformRegistry.register(platform=NAME)(CpuPlatform)
