"""Two runs on one machine, each with its own Ray instance, exchange weights at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rewardmap_verl.verl_plugin.patches import EVERY_PLATFORM
from rewardmap_verl.verl_plugin.weight_socket import PATCHES, own_socket

PROGRAM = """
import asyncio, os, sys, threading, time
import torch
import verl
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import (
    BucketedWeightReceiver, BucketedWeightSender,
)

def transfer(raylet, value, received):
    os.environ["RAY_RAYLET_PID"] = raylet
    sender = BucketedWeightSender(sys.argv[1], 1, use_shm=True)
    receiver = BucketedWeightReceiver(sys.argv[1], torch.device("cpu"), use_shm=True)
    weights = iter([("weight", torch.full((4,), value))])
    sending = threading.Thread(
        target=lambda: asyncio.run(sender.async_send_weights(weights)), daemon=True
    )
    def receive():
        receiver.receive_weights(lambda got, last: received.append(float(got[0][1][0])))
    return sending, threading.Thread(target=receive, daemon=True)

first, second = [], []
pairs = [transfer("11", 1.0, first), transfer("22", 2.0, second)]
for sending, _ in pairs:  # the senders of both runs wait before the first receiver connects
    sending.start()
    time.sleep(0.5)
for _, receiving in pairs:
    receiving.start()
for _, receiving in pairs:
    receiving.join(float(sys.argv[2]))
print(first, second)
"""


def received(tmp_path: Path, imports: str, seconds: int) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM.replace("import verl\n", imports),
            f"ipc://{tmp_path}/job.sock",
            str(seconds),
        ],
        env={**os.environ, "VERL_PLATFORM": "cpu", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


def test_each_run_receives_its_own_weights(tmp_path: Path) -> None:
    assert received(tmp_path, "import verl\n", 60) == "[1.0] [2.0]"


def test_stock_verl_mixes_the_runs_up(tmp_path: Path) -> None:
    """When this fails, verl keeps the runs apart and the patches can go."""
    stock = (
        "from rewardmap_verl.verl_plugin import patches\n"
        "patches.EVERY_PLATFORM = [one for one in patches.EVERY_PLATFORM if not one.on_import]\n"
        "import verl\n"
    )
    # The second run has taken the socket, so one receiver, of either run, has its weights.
    assert received(tmp_path, stock, 5) in ("[2.0] []", "[] [2.0]")


def test_sockets_are_told_apart_by_the_raylet() -> None:
    assert set(PATCHES) <= set(EVERY_PLATFORM)
    handle = "ipc:///tmp/rl-colocate-zmq-01000000-replica-0-rank-0.sock"
    first, second = (own_socket(handle, {"RAY_RAYLET_PID": pid}) for pid in ("11", "22"))
    assert first == handle.replace(".sock", "-raylet-11.sock") != second
    assert own_socket(handle, {}) == handle
    assert own_socket("tcp://127.0.0.1:1", {"RAY_RAYLET_PID": "11"}) == "tcp://127.0.0.1:1"
