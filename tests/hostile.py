"""Run tests on a machine that went through a lot: foreign variables, home and temporary folder.

``python tests/hostile.py tests/rewards -x`` runs pytest with these arguments.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

HOSTILE = {
    "RAY_ADDRESS": "10.9.9.9:6379",
    "VERL_PLATFORM": "nonsense",
    "VERL_USE_EXTERNAL_PLUGINS": "none",
    "VLLM_LOGGING_LEVEL": "nonsense",
    "HYDRA_FULL_ERROR": "1",
    "SLURM_JOB_ID": "7",
    "ROCR_VISIBLE_DEVICES": "0",
    "REWARDMAP_RUN": "0" * 32,
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "FORCE_COLOR": "1",
    "COLUMNS": "40",
    "LC_ALL": "C",
}


def run_hostile(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest with variables of a cluster, an empty home and the file of a dead cluster."""
    stale = folder / "tmp" / "ray" / "ray_current_cluster"
    stale.parent.mkdir(parents=True)
    stale.write_text("10.9.9.9:6379")
    (folder / "home").mkdir()
    folders = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **HOSTILE, **folders},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # short: sockets have 107 bytes
        done = run_hostile(sys.argv[1:], Path(name))
    print(done.stdout)
    sys.exit(done.returncode)
