"""Checks of the platform, the nodes and the Ray cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.preflight.checks.values import gpu_count, require_int, select
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["check_cluster", "check_cores", "check_device", "check_nodes"]

_CPUS = "ray_kwargs.ray_init.num_cpus"
_STORAGE_UNITS = "transfer_queue.backend.SimpleStorage.num_data_storage_units"
_CURRENT = Path("ray") / "ray_current_cluster"
"""File below Ray's temporary folder in which ``ray start`` records the address of its cluster."""


def check_device(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a trainer device that differs from verl's platform."""
    device = str(select(config, "trainer.device", "cuda"))
    platform = os.environ.get("VERL_PLATFORM", "").strip().lower()
    if device == "cpu" and platform != "cpu":
        yield Diagnostic(
            "trainer.device",
            "verl chooses its platform when it is imported, so set VERL_PLATFORM=cpu in the "
            "environment.",
            device,
        )
    if platform == "cpu" and device != "cpu":
        yield Diagnostic(
            "trainer.device",
            "VERL_PLATFORM=cpu is set. Add '+recipe/rewardmap=[cpu]', or unset the variable.",
            device,
        )


def check_nodes(config: DictConfig) -> Iterator[Diagnostic]:
    """Warn about relative paths in a run on several nodes."""
    if require_int(config, "trainer.nnodes") == 1:
        return
    for key in ("data.folder", "trainer.default_local_dir"):
        found = str(select(config, key, ""))
        if found and "://" not in found and not Path(found).is_absolute():
            yield Diagnostic(
                key,
                "The run uses several nodes. Give an absolute path to storage that all of them "
                "share.",
                found,
                stops=False,
            )


def check_cluster(config: DictConfig) -> Iterator[Diagnostic]:
    """Report resources set for a running Ray cluster, and a cluster that no longer exists.

    ``ray.init`` raises on ``num_cpus`` and the like when it joins a running cluster. A run with
    ``ray_init.address=local`` starts its own Ray instance in any case.
    """
    if select(config, "ray_kwargs.ray_init.address") == "local":
        yield from check_single_machine(config)
        return
    named = os.environ.get("RAY_ADDRESS", "")
    address = named or last_cluster()
    if address in ("", "local"):
        return
    if not named and not is_reachable(address):
        yield Diagnostic(
            str(ray_folder() / _CURRENT),
            f"`ray start` started a cluster here that no longer runs ({address}), and Ray would "
            "try to join it. Remove this file, or set RAY_ADDRESS=local.",
        )
        return
    for name in ("num_cpus", "num_gpus", "object_store_memory"):
        key = f"ray_kwargs.ray_init.{name}"
        if (found := select(config, key)) is not None:
            yield Diagnostic(
                key,
                f"The cluster at {address} is already running with its own value. Add "
                f"'+recipe/rewardmap=[multi_node]' as the last option or set {key}=null; or set "
                "RAY_ADDRESS=local to start a separate cluster for this run.",
                found,
            )


def check_cores(config: DictConfig) -> Iterator[Diagnostic]:
    """Report a machine with fewer CPUs than verl reserves: the run would wait forever.

    verl reserves 3 CPUs per GPU for its workers, and TransferQueue 1 for its controller and 1 per
    storage unit. Other actors reserve none.
    """
    joins = os.environ.get("RAY_ADDRESS", "") or last_cluster()
    if joins not in ("", "local") or require_int(config, "trainer.nnodes") > 1:
        return
    units = require_int(config, _STORAGE_UNITS, 8)
    needed = 3 * gpu_count(config) + 1 + units
    given = select(config, _CPUS)
    available = given if isinstance(given, int) else core_count()
    if available < needed:
        yield Diagnostic(
            _CPUS,
            f"verl reserves {needed} CPUs in Ray (3 for each of {gpu_count(config)} GPUs, 1 for "
            f"TransferQueue's controller, {units} for its storage), so the run would wait forever. "
            f"Lower {_STORAGE_UNITS}, or set {_CPUS}={needed}: Ray counts slots, not cores.",
            available,
        )


def core_count() -> int:
    """Return the CPUs that Ray counts on this machine, with the limits of a container."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no limit ("max"), or another version of cgroups
        return cores


def check_single_machine(config: DictConfig) -> Iterator[Diagnostic]:
    """Report several nodes for a run whose Ray instance has one."""
    nodes = require_int(config, "trainer.nnodes")
    if nodes > 1:
        yield Diagnostic(
            "ray_kwargs.ray_init.address",
            f"The run would start a Ray instance of one node and wait for {nodes}. Add "
            "'+recipe/rewardmap=[multi_node]' as the last option to join the running cluster.",
            "local",
        )


def ray_folder() -> Path:
    """Return the folder for Ray's temporary files."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def last_cluster() -> str:
    """Return the address of the cluster that ``ray.init()`` joins by default; empty if none."""
    path = ray_folder() / _CURRENT
    return path.read_text().strip() if path.is_file() else ""


def is_reachable(address: str) -> bool:
    """Return whether a server accepts connections at ``host:port``."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return True
    except (OSError, ValueError):
        return False
