"""A run on one machine is alone: own Ray, loopback addresses, and nothing outlives it."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1200)]

STEPS = 3


class Sockets:
    """Addresses that the processes of a run listen at, collected while it runs."""

    def __init__(self, stack: Any) -> None:
        self._stack = stack
        self.found: set[tuple[str, str]] = set()

    def collect(self) -> bool:
        """Add the present ones; never stops the run (for ``stop_when``)."""
        for process in self._stack.running():
            try:
                connections = process.net_connections(kind="inet")
                name = process.name()
            except psutil.Error:
                continue
            self.found |= {
                (name, one.laddr.ip) for one in connections if one.status == psutil.CONN_LISTEN
            }
        return False


def is_loopback(address: str) -> bool:
    """Also of IPv4 addresses in IPv6 form, which Ray uses."""
    return ip_address(address.removeprefix("::ffff:")).is_loopback


@pytest.fixture
def traces_of_clusters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A variable and a file that name clusters which do not run.

    The folder's path is short, because Ray makes sockets below it, and theirs have 107 bytes.
    """
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as folder:
        current = Path(folder) / "ray" / "ray_current_cluster"
        current.parent.mkdir()
        current.write_text("127.0.0.1:2")
        monkeypatch.setenv("TMPDIR", folder)
        yield


@pytest.mark.usefixtures("traces_of_clusters")
def test_all_ports_are_on_loopback_and_nothing_outlives_a_killed_run(
    stack: Any, small: Callable[..., list[str]]
) -> None:
    sockets = Sockets(stack)
    log = stack.folder / "killed.txt"
    run = stack.start_training(*small("run", STEPS), log=log)
    deadline = time.monotonic() + 600
    while "step:1 - " not in log.read_text(errors="replace") and time.monotonic() < deadline:
        assert run.poll() is None, log.read_text(errors="replace")[-6000:]
        stack.observe()
        sockets.collect()
        time.sleep(0.5)
    sockets.collect()
    names = {name for name, _ in sockets.found}
    assert {"gcs_server", "raylet"} <= names, sockets.found
    assert [one for one in sorted(sockets.found) if not is_loopback(one[1])] == []

    left = [process for process in stack.running() if process.pid != run.pid]
    assert len(left) > 5
    run.send_signal(signal.SIGKILL)
    run.wait(timeout=20)
    _, alive = psutil.wait_procs(left, timeout=10)
    assert [process.name() for process in alive] == []
