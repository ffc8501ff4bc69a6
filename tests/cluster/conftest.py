"""A simulated Slurm: an allocation of three nodes on this machine.

``srun`` runs its command locally, ``scancel`` signals these commands and ``scontrol`` lists the
nodes; all log their calls. ``ray`` and ``python`` can be replaced as well, which tests the scripts
alone. ``test_real_slurm.py`` has the same under a real Slurm.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm_cluster import wait_until
from tests.cluster.stand_ins import PYTHON, RAY

NODES = ("gpu-a1", "gpu-a2", "gpu-b7")
CLUSTER = Path(__file__).resolve().parents[2] / "recipes" / "cluster"

SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do
  [[ $1 != --nodelist=* ]] || node=${1#*=}
  shift
done
echo "srun $node: $*" >>"$FAKE_LOG"
[[ $1 != hostname ]] || { echo "$FAKE_ADDRESSES"; exit 0; }
echo $$ >>"$FAKE_LOG.steps"
exec "$@"
"""

SCANCEL = """#!/usr/bin/env bash
echo "scancel $*" >>"$FAKE_LOG"
kill -TERM $(<"$FAKE_LOG.steps")
"""

SCONTROL = f"""#!/usr/bin/env bash
echo "scontrol $*" >>"$FAKE_LOG"
[[ $1 != show ]] || printf '%s\\n' {" ".join(NODES)}
"""


class Slurm:
    """Jobs of ``slurm.sh`` in a simulated allocation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls.log"
        self.log.touch()
        self._jobs: list[subprocess.Popen[str]] = []
        self._bin = folder / "bin"
        self._bin.mkdir()
        # A private folder for Ray, so that other runs do not find this cluster. Its path must be
        # short, because Ray puts sockets there.
        self.short = tempfile.TemporaryDirectory(prefix="rm", ignore_cleanup_errors=True)
        self._put("srun", SRUN)
        self._put("scontrol", SCONTROL)
        self._put("scancel", SCANCEL)

    def stub_ray_and_training(self) -> None:
        """Replace Ray and Python by scripts that log their calls."""
        self._put("ray", RAY)
        self._put("python", PYTHON)

    def stub_training(self, script: str) -> None:
        """Replace verl's trainer by a script of the test; other modules stay real."""
        path = self.folder / "training.py"
        path.write_text(script, encoding="utf-8")
        real = f'exec "{sys.executable}" "$@"'
        swap = f'[[ $* != *verl.trainer* ]] || exec "{sys.executable}" "{path}" "${{@:3}}"'
        self._put("python", f"#!/usr/bin/env bash\n{swap}\n{real}\n")

    def submit(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a job as Slurm does, on the first node."""
        here = os.pathsep.join([str(self._bin), str(Path(sys.executable).parent)])
        job = subprocess.Popen(
            ["bash", str(CLUSTER / "slurm.sh"), *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "PATH": os.pathsep.join([here, os.environ["PATH"]]),
                "FAKE_LOG": str(self.log),
                "REAL_PYTHON": sys.executable,
                "REWARDMAP_CLUSTER": str(CLUSTER),
                "SLURM_JOB_ID": "4711",
                "HEAD_ADDRESS": "127.0.0.1",  # the simulated nodes are on this machine
                "SLURM_JOB_NODELIST": "gpu-a[1-2],gpu-b7",
                "SLURM_CPUS_PER_TASK": "2",
                "RAY_PORT": str(free_port()),
                "STOP_SECONDS": "10",
                "RAY_TMPDIR": self.short.name,
                **environment,
            },
        )
        self._jobs.append(job)
        return job

    def calls(self) -> list[str]:
        """Return the calls so far, in order."""
        return self.log.read_text(encoding="utf-8").splitlines()

    def wait_for(self, call: str, seconds: float = 30) -> None:
        """Wait until a call is logged."""
        wait_until(lambda: call in self.calls(), seconds, call)

    def stop(self) -> None:
        """Kill all remaining processes of the jobs."""
        for job in self._jobs:
            try:
                os.killpg(job.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            job.wait(timeout=20)
        self.short.cleanup()

    def _put(self, name: str, script: str) -> None:
        path = self._bin / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    """A simulated allocation, whose jobs are killed afterwards."""
    allocation = Slurm(tmp_path)
    yield allocation
    allocation.stop()
