"""Kill what a run leaves behind when its program dies, even from SIGKILL.

Ray ends its processes when the program that started it exits. After SIGKILL some of them, vLLM's
engine for one, notice it only after ten seconds or more. :func:`start_reaper` marks the environment
of the program, which all its descendants inherit, and starts this module as a separate process. It
waits on a pipe whose other end only the program holds; the pipe closes with the program, however it
ends. Then it kills every process with the mark.

It runs as a script without site-packages, so it imports from the standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["MARK", "start_reaper"]

MARK = "REWARDMAP_RUN"
"""Variable with a random identifier of the run."""

_ROUNDS = 10
_PAUSE = 0.2  # seconds between two rounds


def start_reaper() -> int | None:
    """Start the reaper for this process and its future descendants.

    Returns:
        The reaper's process id; ``None`` on a system without ``/proc``.
    """
    if not Path("/proc/self/environ").exists():
        return None
    mark = uuid.uuid4().hex
    waits, held = os.pipe()  # neither end is inheritable, so only this process holds ``held``
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, mark],
        stdin=waits,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(waits)
    os.set_inheritable(held, False)
    os.environ[MARK] = mark
    return reaper.pid


def marked_processes(mark: str) -> Iterator[int]:
    """Yield the ids of all processes of this user whose environment contains the mark."""
    entry = f"{MARK}={mark}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:  # another user's, or it has just ended
            continue
        if entry in environment.split(b"\0"):
            yield int(folder.name)


def kill_marked(mark: str) -> None:
    """Kill all processes with the mark, including those that start meanwhile."""
    for _ in range(_ROUNDS):
        found = list(marked_processes(mark))
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(_PAUSE)


def main() -> None:
    """Wait for the program to end, then kill what it has left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    kill_marked(sys.argv[1])


if __name__ == "__main__":
    main()
