"""Hydra callback for runs on one machine: own Ray instance, loopback addresses, no orphans.

The options ``cpu`` and ``one_gpu`` set ``ray_kwargs.ray_init.address: local``: verl starts a Ray
instance for the run, even if ``RAY_ADDRESS`` or a file of an earlier ``ray start`` names a cluster.
For such a run this callback, before Ray starts:

- makes 127.0.0.1 the address of the node. TransferQueue, vLLM's server and verl's workers bind to
  Ray's node address, and torch's store does with the patch of ``tcp_store``, so no port of the run
  can be reached from other machines;
- starts the ``reaper``, so that no process outlives the run.

A run that joins a cluster is left alone.
"""

from __future__ import annotations

import os
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.patching import Patch, apply
from rewardmap_verl.reaper import start_reaper

__all__ = ["LOOPBACK", "PATCH", "SingleMachineCallback", "starts_own_ray"]

LOOPBACK = {
    # Ray's processes use 127.0.0.1 as the node's address, as they do on macOS and Windows.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # vLLM's address for its own process groups
    "VLLM_HOST_IP": "127.0.0.1",
    # gloo listens on the interface of the host's name otherwise.
    "GLOO_SOCKET_IFNAME": "lo",
    # So does NCCL, for the exchange of addresses before the first collective.
    "NCCL_SOCKET_IFNAME": "lo",
}
"""Variables that the run's processes inherit."""

PATCH = Patch(
    target="ray._private.ray_constants:ENABLE_RAY_CLUSTER",
    signature=None,
    replacement=lambda _original: False,
    reason="Ray reads RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER on import, before a run is configured; "
    "without it a run on one machine listens on all networks.",
    upstream="Ray: let ray.init take a loopback address as the node's address.",
    seen_in="Ray 2.60.0",
)


class SingleMachineCallback(Callback):
    """Callback that keeps the processes of a run on one machine to that machine."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Prepare a single run before verl calls ``ray.init``."""
        prepare(config)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Prepare each run of a sweep; a single run has been prepared already."""
        if "MULTIRUN" in str(OmegaConf.select(config, "hydra.mode", default="")):
            prepare(config)


def prepare(config: DictConfig) -> None:
    """Prepare this process for a run, if it starts its own Ray instance."""
    if starts_own_ray(config):
        bind_to_loopback()
        start_reaper()


def starts_own_ray(config: DictConfig) -> bool:
    """Return whether a run starts its own Ray instance whatever the environment says."""
    return bool(OmegaConf.select(config, "ray_kwargs.ray_init.address") == "local")


def bind_to_loopback() -> None:
    """Make 127.0.0.1 the address of this machine in this process and its descendants."""
    os.environ.update(LOOPBACK)
    apply(PATCH)
