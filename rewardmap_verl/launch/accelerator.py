"""The check that a run for GPUs is not started on a machine without one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rewardmap_verl.cpu.environment import SWITCH
from rewardmap_verl.errors import ConfigError

__all__ = ["require_accelerator"]

_DEVICES: Final = ("nvidia[0-9]*", "kfd", "dxg", "davinci[0-9]*")
"""Device files of NVIDIA, AMD, Windows' subsystem for Linux, and Ascend."""


def require_accelerator(environment: Mapping[str, str], devices: Path = Path("/dev")) -> None:
    """Refuse a run for GPUs on one machine that has none.

    Args:
        environment: The environment of the run. A platform that is set there, or a Ray cluster, is
            taken as it is: the machine that starts a run on a cluster may have no GPU.
        devices: Folder of device files.

    Raises:
        ConfigError: There is no accelerator.
    """
    cluster = environment.get("RAY_ADDRESS", "local") != "local"
    if environment.get(SWITCH) or cluster or any(any(devices.glob(one)) for one in _DEVICES):
        return
    raise ConfigError(
        "train",
        found="no GPU on this machine",
        hint="On a CPU, train the embedded model: make train, or --option cpu --model MODEL. "
        "`rewardmap doctor` says what this machine can run.",
    )
