"""``slurm.sh`` under a real Slurm of three nodes; Ray and the training are stand-ins."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm_cluster import HAS_ENDED, NODES, SlurmCluster, missing_programs, wait_until
from tests.cluster.stand_ins import PYTHON, RAY

pytestmark = [pytest.mark.opt_in, pytest.mark.timeout(180)]

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "cluster" / "slurm.sh"
TRAINS = (
    """trap 'echo training stopped >>"$FAKE_LOG"; kill $waits; exit 143' TERM; """
    """echo training >>"$FAKE_LOG"; sleep 300 & waits=$!; wait $waits"""
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    """A real Slurm, which ends with the tests."""
    if missing := missing_programs():
        pytest.skip(f"a real Slurm needs {', '.join(missing)} (Debian: slurmctld, slurmd, munge)")
    with SlurmCluster() as running:
        yield running


class Jobs:
    """Jobs of ``slurm.sh`` in a folder whose name has spaces."""

    def __init__(self, cluster: SlurmCluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.calls_file = folder / "calls.log"
        for name, script in (("ray", RAY), ("python", PYTHON)):
            path = folder / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(script, encoding="utf-8")
            path.chmod(0o755)

    def submit(self, *arguments: str, script: Path = SCRIPT, **environment: str) -> int:
        """Submit the script to two nodes; options of sbatch come first."""
        options = [word for word in arguments if word.startswith("--")]
        rest = [word for word in arguments if not word.startswith("--")]
        variables = {
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]]),
            "FAKE_LOG": str(self.calls_file),
            "FAKE_BIND": "0.0.0.0",
            "REAL_PYTHON": sys.executable,
            "JOIN_SECONDS": "20",
            "FAKE_JOIN": "2",
            **environment,
        }
        return self.cluster.submit(*options, str(script), *rest, folder=self.folder, **variables)

    def calls(self) -> list[str]:
        """Return the calls of the stand-ins so far."""
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def wait_for_training(self, times: int = 1) -> None:
        """Wait until the training has started so many times."""
        wait_until(lambda: self.calls().count("training") == times, 60, "the training")

    def log(self, number: int) -> str:
        """Return what the user sees in the log of a job."""
        return (self.folder / f"rewardmap-{number}.log").read_text()

    def end(self, number: int, seconds: float = 60) -> dict[str, str]:
        """Wait for the end of a job, until its nodes are idle again."""
        job = self.cluster.wait_for(number, *HAS_ENDED, seconds=seconds)
        wait_until(lambda: set(self.cluster.states().values()) == {"idle"}, 60, "idle nodes")
        return job


@pytest.fixture
def jobs(cluster: SlurmCluster, tmp_path: Path) -> Iterator[Jobs]:
    """Jobs of one test, none of which is left."""
    folder = tmp_path / "a shared disk"
    folder.mkdir()
    yield Jobs(cluster, folder)
    cluster.run("scancel", "--user=root")
    wait_until(lambda: set(cluster.states().values()) == {"idle"}, 60, "idle nodes")


def test_two_nodes_train_and_the_script_may_lie_in_a_folder_with_spaces(jobs: Jobs) -> None:
    copied = shutil.copytree(SCRIPT.parent, jobs.folder / "my recipes") / "slurm.sh"
    maps = f"data.folder={jobs.folder}/some maps"
    number = jobs.submit(maps, script=copied, FAKE_TRAINING='env | grep VISIBLE >>"$FAKE_LOG"')
    job = jobs.end(number)
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), jobs.log(number)
    head = NODES["gpu-a1"]
    assert f"attempt 1: 2 nodes, head gpu-a1 ({head}:{20000 + number})" in jobs.log(number)
    (training,) = [line for line in jobs.calls() if "verl.trainer.main_ppo" in line]
    assert f"trainer.nnodes=2 {maps} (RAY_ADDRESS={head}:{20000 + number})" in training
    devices = [line for line in jobs.calls() if "VISIBLE_DEVICES=" in line]
    assert devices == ["CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7"], "Slurm also sets ROCR's"
    assert jobs.calls().count("ray stopped") == 2


def test_the_exit_code_is_that_of_the_training(jobs: Jobs) -> None:
    number = jobs.submit(FAKE_TRAINING="exit 3")
    job = jobs.end(number)
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "3:0"), jobs.log(number)


def test_a_canceled_job_ends_at_once_and_leaves_nothing(jobs: Jobs) -> None:
    number = jobs.submit(FAKE_TRAINING=TRAINS)
    jobs.wait_for_training()
    jobs.cluster.run("scancel", str(number))
    assert jobs.end(number, seconds=20)["JobState"] == "CANCELLED"
    assert "training stopped" in jobs.calls()
    assert "the next run resumes from the last checkpoint" in jobs.log(number)
    assert "slurm_script: line" not in jobs.log(number), "no error of the script itself"
    for name in NODES:
        left = [one for one in jobs.cluster.processes(name) if str(jobs.folder) in one]
        assert left == []


def test_the_signal_before_the_time_limit_requeues_the_job(jobs: Jobs) -> None:
    number = jobs.submit("--signal=B:USR1@100", "--time=2", FAKE_TRAINING=TRAINS)
    jobs.wait_for_training(times=2)
    assert jobs.calls().count("training stopped") == 1, "it was not killed"
    log = jobs.log(number)
    assert "close to the time limit; requeueing the job" in log
    assert f"job {number}, attempt 2: 2 nodes" in log
    assert jobs.cluster.job(number)["Restarts"] == "1"


def test_a_dead_node_is_replaced(jobs: Jobs) -> None:
    number = jobs.submit(FAKE_TRAINING=TRAINS)
    jobs.wait_for_training()
    jobs.cluster.kill("gpu-a2")
    try:
        jobs.wait_for_training(times=2)
        log = jobs.log(number)
        assert "Node failure on gpu-a2" in log
        assert "a node was lost; stopping the others" in log
        assert f"job {number}, attempt 2: 2 nodes" in log
        assert jobs.cluster.job(number)["NodeList"] == "gpu-a1,gpu-b7"
    finally:
        jobs.cluster.start_node("gpu-a2")


def test_what_the_user_sees_of_a_wrong_partition_and_of_too_few_nodes(jobs: Jobs) -> None:
    wrong = jobs.cluster.run("sbatch", "--partition=gpus", str(SCRIPT))
    assert wrong.returncode == 1
    assert "invalid partition specified: gpus" in wrong.stderr
    number = jobs.submit("--nodes=4")
    assert jobs.cluster.job(number)["JobState"] == "PENDING"
    wait_until(lambda: jobs.cluster.job(number)["Reason"] == "PartitionConfig", 20, "a reason")


@pytest.mark.parametrize(
    "hosts",
    ["fd77::11 gpu-a1\n10.77.0.11 gpu-a1", "127.0.1.1 gpu-a1\n10.77.0.11 gpu-a1"],
    ids=["ipv6-first", "loopback-first"],
)
def test_the_head_has_an_address_that_others_reach(jobs: Jobs, hosts: str) -> None:
    jobs.cluster.set_hosts("gpu-a1", f"::1 localhost\n127.0.0.1 localhost\n{hosts}")
    number = jobs.submit(FAKE_TRAINING="exit 0")
    assert jobs.end(number)["JobState"] == "COMPLETED", jobs.log(number)
    assert "head gpu-a1 (10.77.0.11:" in jobs.log(number)
    assert "joined" in jobs.calls()


@pytest.mark.parametrize("hosts", ["127.0.1.1 gpu-a1", "fd77::11 gpu-a1"])
def test_a_head_without_such_an_address_is_refused(jobs: Jobs, hosts: str) -> None:
    jobs.cluster.set_hosts("gpu-a1", f"127.0.0.1 localhost\n{hosts}")
    number = jobs.submit(FAKE_TRAINING="exit 0")
    job = jobs.end(number)
    assert (job["JobState"], job["ExitCode"]) == ("FAILED", "2:0")
    assert f"hostname --ip-address prints {hosts.split()[0]}" in jobs.log(number)
    assert "Set HEAD_ADDRESS to its address" in jobs.log(number)
    number = jobs.submit(FAKE_TRAINING="exit 0", HEAD_ADDRESS="10.77.0.11")
    assert jobs.end(number)["JobState"] == "COMPLETED", jobs.log(number)
