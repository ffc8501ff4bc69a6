"""Stands for ``python``: has the server fork a process that does what this one was asked to do.

It hands over its arguments, environment, folder and open files, waits, passes signals on, and ends
as that process ends. Without a server it becomes Python itself. Only the standard library: it runs
as a script, isolated from site-packages.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

SOCKET = "REWARDMAP_PREFORK"
SECONDS = 120.0  # the server may still be importing
MAXIMUM = 2**20
FILES = "/proc/self/fd"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main(arguments: Sequence[str]) -> None:
    """Run ``python ARGUMENTS``; never returns."""
    path = os.environ.get(SOCKET, "off")
    code = forked(path, arguments) if path != "off" and understood(arguments) else None
    if code is None:
        os.execv(sys.executable, [sys.executable, *arguments])
    if code < 0:  # the process was ended by a signal; so be it for this one
        if -code in SIGNALS:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def understood(arguments: Sequence[str]) -> bool:
    """Whether the server knows what to do: a script, or what ``multiprocessing`` spawns."""
    rest = without_options(arguments)
    if rest[:1] == ["-c"]:
        return "--multiprocessing-fork" in rest
    return bool(rest) and rest[0].endswith(".py")


def without_options(arguments: Sequence[str]) -> list[str]:
    """Arguments without those that say how to write output and bytecode: the server's hold."""
    rest = list(arguments)
    while rest[:1] in (["-u"], ["-B"]):
        del rest[0]
    return rest


def forked(path: str, arguments: Sequence[str]) -> int | None:
    """Ask the server, and wait for the end of the process that it forks.

    Returns:
        The exit code, negative for a signal; ``None`` if there is no server or it declines.
    """
    files = open_files()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.settimeout(SECONDS)
        try:
            server.connect(path)
            socket.send_fds(server, [request(arguments, files)], files)
            answer = receive(server)
        except OSError:
            return None
        if "pid" not in answer:
            return None
        pass_signals_on(answer["pid"])
        server.settimeout(None)
        return int(receive(server).get("code", 1))


def request(arguments: Sequence[str], files: Sequence[int]) -> bytes:
    """What the server must know."""
    asked = {
        "arguments": without_options(arguments),
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109  (no pathlib: imports take time)
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "files": files,
    }
    return json.dumps(asked).encode()


def receive(server: socket.socket) -> dict[str, int]:
    """The server's next message; empty when it is gone."""
    message = server.recv(MAXIMUM)
    answer: dict[str, int] = json.loads(message) if message else {}
    return answer


def open_files() -> list[int]:
    """Files that this process inherited, by number."""
    return [number for number in map(int, os.listdir(FILES)) if is_open(number)]  # noqa: PTH208


def is_open(number: int) -> bool:
    """Whether a file is open; the folder that was read to find them no longer is."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def pass_signals_on(pid: int) -> None:
    """Send to the forked process what this one is sent."""

    def forward(number: int, _: FrameType | None) -> None:
        try:  # noqa: SIM105  (contextlib: see above)
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    for number in SIGNALS:
        signal.signal(number, forward)


if __name__ == "__main__":
    main(sys.argv[1:])
