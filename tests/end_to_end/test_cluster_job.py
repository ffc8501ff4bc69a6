"""A job that is really submitted to a Ray cluster of two nodes, one rank on each, and stopped."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from rewardmap_verl.checkpoints.folders import latest_step
from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
from rewardmap_verl.curriculum.record import RECORD_NAME, read_record
from rewardmap_verl.preflight.compose import compose_run

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(2400)]

STEPS = 6
JOB = (sys.executable, "-m", "ray.scripts.scripts", "job")
RECIPE = "+recipe/rewardmap=[cpu,rl_baseline,multi_node]"


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def cluster(stack: Any) -> Iterator[dict[str, str]]:
    """Two nodes on this machine with a device each; the variables of whoever talks to them."""
    port, board = free_port(), free_port()
    # Ray writes there which cluster runs, and later runs would join what is gone by then. Its paths
    # must be short, since sockets lie below them.
    short = tempfile.TemporaryDirectory(prefix="rm", ignore_cleanup_errors=True)
    secret = {
        "RAY_TMPDIR": short.name,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
        "VERL_PLATFORM": "cpu",
    }
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    apart = ["--num-cpus=8", "--num-gpus=1", "--object-store-memory=200000000"]
    apart += ["--min-worker-port=0", "--max-worker-port=0", "--disable-usage-stats"]
    head = ["--head", "--node-ip-address=127.0.0.1", f"--port={port}", "--dashboard-host=127.0.0.1"]
    head += [f"--dashboard-port={board}"]
    stack.start(*ray, *head, *apart, log=stack.folder / "head.txt", environment=secret)
    address = f"127.0.0.1:{port}"
    wait = [sys.executable, "-m", "rewardmap_verl.preflight.wait_for_nodes"]
    variables = {**secret, "RAY_ADDRESS": address}
    first = stack.run(*wait, "1", "120", timeout=150, environment=variables, keep=True)
    assert first.code == 0, first.output + (stack.folder / "head.txt").read_text()
    join = [f"--address={address}", "--dashboard-agent-listen-port=0"]
    stack.start(*ray, *join, *apart, log=stack.folder / "worker.txt", environment=secret)
    both = stack.run(*wait, "2", "120", timeout=150, environment=variables, keep=True)
    assert both.code == 0, both.output + (stack.folder / "worker.txt").read_text()
    yield {**secret, "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{board}"}
    stack.stop_all()
    short.cleanup()


def ray_job(cluster: dict[str, str], *words: str) -> str:
    """What ``ray job`` prints."""
    variables = {**os.environ, **cluster}
    done = subprocess.run(
        [*JOB, *words], env=variables, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout + done.stderr


def submit(stack: Any, cluster: dict[str, str], *words: str, **options: Any) -> Any:
    """Submit a training to the cluster and read along until it ends."""
    environment = stack.folder / "runtime_env.yaml"
    environment.write_text("env_vars: {VERL_PLATFORM: cpu, PYTHONUNBUFFERED: '1'}\n")
    name = options.pop("name")
    return stack.run(
        *(*JOB, "submit", "--runtime-env", str(environment), "--submission-id", name, "--"),
        *(sys.executable, "-m", "verl.trainer.main_ppo", "+recipe=rewardmap", RECIPE),
        *words,
        timeout=600,
        environment=cluster,
        keep=True,
        **options,
    )


def test_a_job_that_is_stopped_and_submitted_again(
    stack: Any, small: Any, cluster: dict[str, str]
) -> None:
    run = stack.folder / "run"
    sizes = ["trainer.nnodes=2", "trainer.n_gpus_per_node=1", "trainer.save_freq=1"]
    words = small(str(run), STEPS, *sizes, f"hydra.run.dir={stack.folder / 'hydra'}")
    asked = False

    def stop() -> bool:
        """Once a step is saved, in the middle of the next one; Ray sends SIGTERM."""
        nonlocal asked
        if not asked and (latest_step(run) or 0) >= 1:
            asked = True
            ray_job(cluster, "stop", "--no-wait", "first")
        return False

    first = submit(stack, cluster, *words, name="first", stop_when=stop)
    assert "was stopped" in ray_job(cluster, "status", "first"), first.output[-4000:]
    at = latest_step(run)
    assert at is not None and 1 <= at < STEPS, first.output[-4000:]

    second = submit(stack, cluster, *words, name="second")
    assert second.code == 0, second.output[-6000:]
    assert min(second.steps) == at + 1, "it goes on from the last checkpoint"
    assert max(second.steps) == STEPS

    plan = plan_curriculum(
        compose_run(["+recipe=rewardmap", RECIPE, *words]).data
    ).schedule.rows_by_step()
    for entry in read_record(run / RECORD_NAME):
        assert sorted(group.row for group in entry.groups) == sorted(plan[entry.step])
    ranks = sorted(path.name for path in (run / f"global_step_{STEPS}/actor").glob("model_*.pt"))
    assert ranks == [f"model_world_size_2_rank_{rank}.pt" for rank in range(2)]
