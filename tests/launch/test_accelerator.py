"""A run for GPUs on a machine without one is refused with what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.launch.accelerator import require_accelerator


def test_without_a_gpu_the_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no GPU on this machine.*--option cpu --model MODEL"):
        require_accelerator({"RAY_ADDRESS": "local"}, tmp_path)


@pytest.mark.parametrize(
    "environment", [{"VERL_PLATFORM": "cpu"}, {"RAY_ADDRESS": "10.0.0.1:6379"}]
)
def test_a_platform_or_a_cluster_is_taken_as_it_is(
    environment: dict[str, str], tmp_path: Path
) -> None:
    require_accelerator(environment, tmp_path)


@pytest.mark.parametrize("name", ["nvidia0", "kfd", "davinci7"])
def test_a_device_file_is_enough(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    require_accelerator({}, tmp_path)
