"""The store of a process group listens on the loopback interface if its address is one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from rewardmap_verl.verl_plugin.patches import EVERY_PLATFORM
from rewardmap_verl.verl_plugin.tcp_store import PATCH, is_loopback

PROGRAM = """
import sys
import psutil
import torch.distributed as dist
from rewardmap_verl.verl_plugin.vllm_plugin import register

if sys.argv[1] == "patched":
    register()
dist.init_process_group("gloo", init_method="tcp://127.0.0.1:0", rank=0, world_size=1)
dist.barrier()
sockets = psutil.Process().net_connections(kind="inet")
print(*sorted({one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}))
"""


def listening(patched: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, patched],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "GLOO_SOCKET_IFNAME": "lo",
            "VERL_PLATFORM": "",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return set(done.stdout.split())


def test_the_store_listens_on_loopback_only() -> None:
    """With vLLM's plugin, which applies the patch as verl's does, on any platform."""
    assert PATCH in EVERY_PLATFORM
    assert all(is_loopback(address.removeprefix("::ffff:")) for address in listening("patched"))


def test_stock_torch_listens_on_all_interfaces() -> None:
    """When this fails, torch binds to the host name and the patch can go."""
    assert listening("stock") & {"0.0.0.0", "::"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1", "[::1]"])
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "node-1", "", "::"])
def test_other_hosts(host: str) -> None:
    assert not is_loopback(host)
