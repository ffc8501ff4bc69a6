"""The Slurm script in a simulated allocation: what starts on each node, and what ends the job."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

NODES = ("gpu-a1", "gpu-a2", "gpu-b7")
TRAINS = (
    "sleep 300 & waits=$!; "
    """trap 'echo "training stopped" >>"$FAKE_LOG"; kill $waits; exit 143' TERM; """
    "echo training >>$FAKE_LOG; wait $waits"
)


def test_every_node_joins_one_cluster_and_the_first_node_trains(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit("data.folder=/shared/maps", FAKE_TRAINING="sleep 1", FAKE_JOIN="3")
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 0, output
    calls = slurm.calls()
    assert "scontrol show hostnames gpu-a[1-2],gpu-b7" in calls
    started = [line for line in calls if re.match(r"srun gpu-\w+: bash", line)]
    ranks = {line[5:11]: line.split("node.sh ")[1] for line in started}
    assert [ranks[name][:13] for name in NODES] == [f"{rank} 3 127.0.0.1" for rank in range(3)]
    assert all(
        "+recipe=rewardmap +recipe/rewardmap=[multi_node] trainer.nnodes=3 data.folder=/shared/maps"
        in line
        for line in started
    )
    (head,) = [line for line in calls if line.startswith("ray start --head")]
    (address,) = {
        match[1] for line in calls if (match := re.match(r"ray start --address=(\S+)", line))
    }
    assert f"--node-ip-address=127.0.0.1 --port={address.split(':')[1]} " in head
    (training,) = [line for line in calls if line.startswith("python -m verl.trainer.main_ppo")]
    assert f"(RAY_ADDRESS={address})" in training
    assert calls.index(training) > max(i for i, line in enumerate(calls) if line == "joined")
    assert calls.count("ray stopped") == 3


def test_the_exit_code_is_that_of_the_training(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit(FAKE_TRAINING="exit 3")
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 3, output


def test_a_lost_node_ends_the_job(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit(FAKE_TRAINING=TRAINS, FAKE_LOST="yes")
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 1, output
    assert "a node was lost" in output
    assert "(attempt 3 of 3)" in output, "joining is retried"
    assert "training stopped" in slurm.calls()


def test_the_job_is_requeued_before_the_time_limit(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit(FAKE_TRAINING=TRAINS)
    slurm.wait_for("training")
    job.send_signal(signal.SIGUSR1)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 0, output
    calls = slurm.calls()
    assert "scontrol requeue 4711" in calls
    assert calls.index("training stopped") < calls.index("scontrol requeue 4711")


def test_a_canceled_job_is_not_requeued(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit(FAKE_TRAINING=TRAINS)
    slurm.wait_for("training")
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=60)
    assert job.returncode not in (0, None), output
    assert "training stopped" in slurm.calls()
    assert not any("requeue" in line for line in slurm.calls())


def test_an_unreachable_head_is_reported(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    (slurm.folder / "bin" / "ray").write_text("#!/bin/sh\nexec sleep 60\n")
    job = slurm.submit(FAKE_TRAINING="exit 0", FAKE_JOIN="30", JOIN_SECONDS="2")
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 1
    assert "no connection to 127.0.0.1:" in output


@pytest.mark.parametrize(
    "addresses", ["10.0.0.7", "fe80::1 10.0.0.7", "127.0.1.1 10.0.0.7 10.1.0.7", "::1 10.0.0.7"]
)
def test_the_head_has_an_ipv4_address_that_others_reach(slurm: Any, addresses: str) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit(HEAD_ADDRESS="", FAKE_ADDRESSES=addresses, JOIN_SECONDS="1", FAKE_LOST="yes")
    output, _ = job.communicate(timeout=60)
    assert "head gpu-a1 (10.0.0.7:" in output
    started = [line for line in slurm.calls() if re.match(r"srun gpu-\w+: bash", line)]
    assert all(" 3 10.0.0.7 " in line for line in started)


@pytest.mark.parametrize("addresses", ["127.0.1.1", "127.0.0.1 ::1", "fe80::1"])
def test_an_address_that_others_cannot_reach_is_refused(slurm: Any, addresses: str) -> None:
    slurm.stub_ray_and_training()
    job = slurm.submit(HEAD_ADDRESS="", FAKE_ADDRESSES=addresses)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 2
    assert f"hostname --ip-address prints {addresses}. Set HEAD_ADDRESS" in output
    assert not any("bash" in line for line in slurm.calls()), "no node was started"


def test_devices_of_amd_are_unset_beside_those_of_nvidia(slurm: Any) -> None:
    slurm.stub_ray_and_training()
    show = 'echo "ROCR=${ROCR_VISIBLE_DEVICES-unset} CUDA=$CUDA_VISIBLE_DEVICES" >>"$FAKE_LOG"'
    job = slurm.submit(FAKE_TRAINING=show, ROCR_VISIBLE_DEVICES="0,1", CUDA_VISIBLE_DEVICES="0,1")
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 0, output
    assert "ROCR=unset CUDA=0,1" in slurm.calls()


PROBE = """
import json, pathlib, sys
import ray
ray.init(address="auto", log_to_driver=False)

@ray.remote(num_gpus=1, scheduling_strategy="SPREAD")
def where():
    return ray.get_runtime_context().get_node_id()

nodes = set(ray.get([where.remote() for _ in range(3)]))
pathlib.Path("probe.json").write_text(json.dumps([sys.argv[1:], len(ray.nodes()), len(nodes)]))
"""


@pytest.mark.end_to_end
@pytest.mark.opt_in  # Ray gives a node 30 s to start; three nodes on two cores may take longer
def test_a_real_cluster_of_three_nodes(slurm: Any, tmp_path: Path) -> None:
    """Start three real Ray nodes on this machine and run a job that uses a GPU of each."""
    import json

    slurm.stub_training(PROBE)
    apart = "--num-gpus=1 --num-cpus=1 --object-store-memory=100000000"
    ports = "--min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0"
    job = slurm.submit("data.folder=x", RAY_ARGS=f"{apart} {ports}")
    output, _ = job.communicate(timeout=260)
    assert job.returncode == 0, output
    words, nodes, used = json.loads((tmp_path / "probe.json").read_text())
    assert words[0] == "+recipe=rewardmap"
    assert (nodes, used) == (3, 3)
    left = [one for one in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(one.info)]
    assert left == [], sys.executable
