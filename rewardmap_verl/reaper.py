"""Kill what a program leaves behind when it dies, even from SIGKILL.

Ray and vLLM end their processes when the program that started them exits. After SIGKILL some of
them run on for ten seconds or more, and a subprocess runs on to its end. ``start_reaper`` starts
this module as a separate process, which records the descendants of the program every second and
kills them as soon as the program has ended. ``no_orphans`` does so for the time of a block.

Descendants whose parent dies first are no longer recognizable by their parent, and Ray overwrites
the environment of its processes with their titles. So both are used: the record of descendants, and
a mark in the environment for processes that started since the last record.

The reaper runs as a script without site-packages, so it imports from the standard library only.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["MARK", "no_orphans", "start_reaper"]

MARK = "REWARDMAP_RUN"
"""Variable with a random identifier of the program's descendants."""

INTERVAL = 1.0
"""Seconds between two reads of the process table."""
ROUNDS = 50
PAUSE = 0.1
"""Seconds between two rounds of killing."""


class Process(NamedTuple):
    """An entry of the process table."""

    parent: int
    started: str
    """Start time in clock ticks; a process id with another start time is another process."""


def start_reaper() -> int | None:
    """Start a reaper for this process and its descendants.

    Returns:
        The reaper's process id; ``None`` on a system without ``/proc``.
    """
    started = _start()
    return started[0].pid if started else None


@contextlib.contextmanager
def no_orphans() -> Iterator[None]:
    """Kill the descendants of this process if it dies inside the block.

    When the block ends, its processes are left alone and the reaper ends.
    """
    outer = os.environ.get(MARK)
    started = _start()
    try:
        yield
    finally:
        if started:
            reaper, held = started
            with contextlib.suppress(BrokenPipeError):
                os.write(held, b"done")
            os.close(held)
            reaper.wait()
            os.environ.pop(MARK, None)
            if outer is not None:
                os.environ[MARK] = outer


def _start() -> tuple[subprocess.Popen[bytes], int] | None:
    """Start a reaper; return it with the pipe that closes when this process ends."""
    if not Path("/proc/self/environ").exists():
        return None
    mark = uuid.uuid4().hex
    waits, held = os.pipe()  # not inheritable: ``held`` closes when this process ends
    reaper = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), mark],
        stdin=waits,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(waits)
    os.environ[MARK] = mark
    return reaper, held


def process_table() -> dict[int, Process]:
    """Return all processes except zombies and this one, by process id."""
    table = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            # The name of the program, in parentheses, may contain anything.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if fields[0] != "Z":
            table[int(folder.name)] = Process(int(fields[1]), fields[19])
    return table


def marked(table: Mapping[int, Process], mark: str) -> Iterator[int]:
    """Yield the processes whose environment contains the mark."""
    entry = f"{MARK}={mark}".encode()
    for pid in table:
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # another user's, or it has just ended
            continue
        if entry in environment.split(b"\0"):
            yield pid


def add_descendants(known: dict[int, str], table: Mapping[int, Process]) -> None:
    """Add the descendants of known processes that are still in the table.

    Args:
        known: Start time by process id.
        table: The process table.
    """
    found = True
    while found:
        alive = set(running(known, table))
        new = {pid: one.started for pid, one in table.items() if one.parent in alive}
        found = not new.keys() <= alive
        known.update(new)


def running(known: Mapping[int, str], table: Mapping[int, Process]) -> list[int]:
    """Return the known processes that are still in the table."""
    return [pid for pid, started in known.items() if pid in table and table[pid].started == started]


def survivors(known: dict[int, str], mark: str) -> list[int]:
    """Return the known and marked processes, with their descendants, that still run."""
    table = process_table()
    known.update({pid: table[pid].started for pid in marked(table, mark)})
    add_descendants(known, table)
    return running(known, table)


def kill_survivors(known: dict[int, str], mark: str) -> None:
    """Kill the processes of a run until none is left."""
    for _ in range(ROUNDS):
        left = survivors(known, mark)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE)


def main() -> None:
    """Record the descendants of a program until it ends, then kill them.

    If the program writes to the pipe, they are left alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    program, mark = int(sys.argv[1]), sys.argv[2]
    table = process_table()
    known = {program: table[program].started} if program in table else {}
    while program in table and table[program].started == known.get(program):
        add_descendants(known, table)
        closed, _, _ = select.select([sys.stdin], [], [], INTERVAL)
        if closed:
            if os.read(0, 4):
                return
            time.sleep(PAUSE)  # the pipe closes an instant before the process is gone
        table = process_table()
    known.pop(program, None)
    kill_survivors(known, mark)


if __name__ == "__main__":
    main()
