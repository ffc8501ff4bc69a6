"""The tests pass whatever the machine went through before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

TESTS = (
    "tests/checkpoints/test_retention.py",
    "tests/preflight/test_recipes.py::test_preflight_reports_nothing",
    "tests/packaging/test_doctor.py",
)

HOSTILE = {
    "RAY_ADDRESS": "10.9.9.9:6379",
    "VERL_PLATFORM": "nonsense",
    "VERL_USE_EXTERNAL_PLUGINS": "none",
    "VLLM_LOGGING_LEVEL": "nonsense",
    "HYDRA_FULL_ERROR": "1",
    "SLURM_JOB_ID": "7",
    "ROCR_VISIBLE_DEVICES": "0",
}


def test_tests_pass_in_a_hostile_environment(tmp_path: Path) -> None:
    """Variables of a cluster, an empty home, and the file of a cluster that was killed."""
    stale = tmp_path / "tmp" / "ray" / "ray_current_cluster"
    stale.parent.mkdir(parents=True)
    stale.write_text("10.9.9.9:6379")
    (tmp_path / "home").mkdir()
    folders = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=REPOSITORY,
        env={**os.environ, **HOSTILE, **folders},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stdout[-4000:]
    assert " passed" in result.stdout
