"""A training over two nodes of a real Slurm, which is canceled and submitted again."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.checkpoints.folders import latest_step
from rewardmap_verl.curriculum.record import RECORD_NAME, read_record
from tests.cluster.slurm_cluster import HAS_ENDED, NODES, SlurmCluster, missing_programs, wait_until

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(3000)]

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "cluster" / "slurm.sh"
STEPS = 3


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    """A real Slurm, which ends with the test."""
    if missing := missing_programs():
        pytest.skip(f"a real Slurm needs {', '.join(missing)} (Debian: slurmctld, slurmd, munge)")
    with SlurmCluster() as running:
        yield running


def test_a_job_that_is_canceled_and_submitted_again(
    cluster: SlurmCluster, small: Any, tmp_path: Path
) -> None:
    run = tmp_path / "a shared disk" / "run"
    run.parent.mkdir()
    words = small(str(run), STEPS, "trainer.n_gpus_per_node=1", "trainer.save_freq=1")
    # Ray puts sockets below this folder, so its path must be short.
    short = tempfile.TemporaryDirectory(prefix="rm", ignore_cleanup_errors=True)
    variables = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "OPTIONS": "cpu,rl_baseline,multi_node",
        "VERL_PLATFORM": "cpu",
        "RAY_TMPDIR": short.name,
        "RAY_ARGS": "--num-cpus=8 --num-gpus=1 --object-store-memory=200000000",
    }

    def submit() -> int:
        return cluster.submit(str(SCRIPT), *words, folder=run.parent, **variables)

    def log(number: int) -> str:
        return (run.parent / f"rewardmap-{number}.log").read_text()

    with short:
        first = submit()
        wait_until(
            lambda: (latest_step(run) or 0) >= 1 or cluster.job(first)["JobState"] in HAS_ENDED,
            1200,
            "a checkpoint",
        )
        cluster.run("scancel", str(first))
        ended = cluster.wait_for(first, *HAS_ENDED, seconds=60)
        assert ended["JobState"] == "CANCELLED", log(first)[-6000:]
        wait_until(lambda: set(cluster.states().values()) == {"idle"}, 90, "idle nodes")
        for name in NODES:
            assert not any("ray" in one for one in cluster.processes(name)), name
        at = latest_step(run)
        assert at is not None and 1 <= at < STEPS

        second = submit()
        ended = cluster.wait_for(second, *HAS_ENDED, seconds=1200)
        assert ended["JobState"] == "COMPLETED", log(second)[-6000:]

    steps = [entry.step for entry in read_record(run / RECORD_NAME) if entry.part == "train"]
    assert sorted(set(steps)) == list(range(1, STEPS + 1))
    assert f"step:{at} " not in log(second), "it goes on from the last checkpoint"
    ranks = sorted(path.name for path in (run / f"global_step_{STEPS}/actor").glob("model_*.pt"))
    assert ranks == [f"model_world_size_2_rank_{rank}.pt" for rank in range(2)]
