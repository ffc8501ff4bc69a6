"""No process of a run outlives its program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

PROGRAM = """
import subprocess, sys, time
from rewardmap_verl.reaper import start_reaper

print(start_reaper())
sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
outer = "import subprocess, sys, time; print(subprocess.Popen(sys.argv[1:]).pid, flush=True)"
print(subprocess.Popen(sleeper, stdin=subprocess.DEVNULL, start_new_session=True).pid, flush=True)
outer = [sys.executable, "-c", outer + "; time.sleep(300)", *sleeper]
subprocess.Popen(outer, stdin=subprocess.DEVNULL)
{end}
"""


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


def start(end: str, code: str = PROGRAM, count: int = 3) -> tuple[subprocess.Popen[str], list[int]]:
    program = subprocess.Popen(
        [sys.executable, "-c", code.format(end=end)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    return program, [int(program.stdout.readline()) for _ in range(count)]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_program_leaves_nothing(sent: signal.Signals) -> None:
    program, left = start("time.sleep(300)")
    assert all(is_running(pid) for pid in left), "the reaper, a child in its own session, a child"
    program.send_signal(sent)
    program.wait(timeout=20)
    assert wait_until(lambda: not any(is_running(pid) for pid in left))


def test_a_program_that_ends_leaves_nothing() -> None:
    program, left = start("sys.stdin.read()")
    program.communicate(timeout=20)
    assert program.returncode == 0
    assert wait_until(lambda: not any(is_running(pid) for pid in left))


UNMARKED = """
import subprocess, sys
from rewardmap_verl.reaper import start_reaper

print(start_reaper())
inner = "import subprocess, sys, time; print(subprocess.Popen(sys.argv[1:]).pid, flush=True)"
sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
subprocess.run([sys.executable, "-c", inner + "; time.sleep(4)", *sleeper], env={{}})
print("its parent has ended", flush=True)
{end}
"""


def test_an_orphan_without_the_mark_is_killed() -> None:
    """Ray overwrites the environment of its processes, and some outlive their parent."""
    program, (reaper, orphan) = start("sys.stdin.read()", UNMARKED, count=2)
    assert program.stdout is not None
    assert program.stdout.readline() == "its parent has ended\n"
    assert is_running(orphan)
    program.kill()
    program.wait(timeout=20)
    assert wait_until(lambda: not is_running(orphan) and not is_running(reaper))


BLOCK = """
import subprocess, sys, time
from rewardmap_verl.reaper import no_orphans

sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
with no_orphans():
    child = subprocess.Popen(sleeper, stdin=subprocess.DEVNULL, start_new_session=True)
    print(child.pid, flush=True)
    sys.stdin.readline()
print("the block has ended", flush=True)
{end}
"""


def test_a_block_leaves_nothing_if_the_program_dies_in_it() -> None:
    program, (child,) = start("", BLOCK, count=1)
    program.kill()
    program.wait(timeout=20)
    assert wait_until(lambda: not is_running(child))


def test_processes_are_left_alone_after_a_block() -> None:
    program, (child,) = start("sys.stdin.read()", BLOCK, count=1)
    assert program.stdin is not None and program.stdout is not None
    program.stdin.write("go on\n")
    program.stdin.flush()
    assert program.stdout.readline() == "the block has ended\n"
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    assert children == [str(child)], "the reaper has ended, the child has not"
    program.kill()
    program.wait(timeout=20)
    time.sleep(0.3)
    assert is_running(child)
    os.kill(child, signal.SIGKILL)


def test_processes_of_other_runs_are_left_alone() -> None:
    program, left = start("time.sleep(300)")
    other, others = start("time.sleep(300)")
    try:
        program.kill()
        program.wait(timeout=20)
        assert wait_until(lambda: not any(is_running(pid) for pid in left))
        assert all(is_running(pid) for pid in others)
    finally:
        other.kill()
        other.wait(timeout=20)
    assert wait_until(lambda: not any(is_running(pid) for pid in others))
