"""A preparation that is stopped leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.preparation.conftest import write_city

LINES = {"Line 1": [f"Stop {i}" for i in range(9)], "Line 2": ["X", "Stop 3", "Y"]}
SECONDS = 120


def wait_for(condition: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Return whether the condition holds within some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process]]]:
    """A preparation with two workers in the middle of their maps, and its child processes."""
    for number in range(40):
        write_city(tmp_path / "root", f"land/city{number}", LINES, number)
    words = ["prepare", "local", "--root", str(tmp_path / "root"), "--out", str(tmp_path / "out")]
    program = [sys.executable, "-c", "from rewardmap_verl.commands.main import app; app()"]
    process = subprocess.Popen(
        [*program, *words, "--workers", "2"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    notes = tmp_path / ".out.building" / ".finished"
    assert wait_for(lambda: any(notes.glob("[!.]*.json")))
    children = psutil.Process(process.pid).children(recursive=True)
    yield process, children
    for child in [*children, process]:
        if child.pid and psutil.pid_exists(child.pid):
            child.kill()
    process.wait(SECONDS)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_a_signal(
    running: tuple[subprocess.Popen[bytes], list[psutil.Process]], number: signal.Signals
) -> None:
    process, children = running
    assert len(children) >= 2
    os.kill(process.pid, number)
    code = process.wait(SECONDS)
    assert code != 0
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE], gone


def test_an_early_end_waits_for_results_on_their_way() -> None:
    """The executor would wait forever for the rest of a result whose worker has ended."""
    code = """
from rewardmap_verl.preparation.map_jobs import _parallel
results = _parallel(bytes, [10**8] * 8, count=2)  # large, so that some are on their way
assert len(next(results)) == 10**8
results.close()
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=SECONDS).returncode == 0


def test_the_next_run_reuses_the_maps_of_a_terminated_one(
    running: tuple[subprocess.Popen[bytes], list[psutil.Process]], tmp_path: Path
) -> None:
    process, _ = running
    process.terminate()
    assert process.wait(SECONDS) == 128 + signal.SIGTERM
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / ".out.building" / ".finished").glob("[!.]*.json"))
