"""Import once, fork often: one process imports what all processes of a run need.

A run on the CPU has ten processes, and each imports torch, transformers, vLLM and verl: nine CPU
seconds, most of the minute before the first step. Here one process (:mod:`~.server`) imports them
while verl's own command still starts, and becomes all others by forking. Ray calls Python through
:mod:`~.client`, as the ``py_executable`` of its runtime environment, which Ray offers for such ends
and :func:`ray_hook` sets. What these spawn, vLLM's engine for one, comes the same way, since
``multiprocessing`` lets a program name its executable.

Nothing depends on it: a client that finds no server, or whose environment differs in what cannot be
changed in a running process, becomes an ordinary Python. ``REWARDMAP_PREFORK=off`` does without.
Not for runs on accelerators, whose drivers do not survive a fork.
Seen to work with Ray 2.60, vLLM 0.24, torch 2.11.
"""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = ["SOCKET", "executable_of", "ray_hook", "start", "start_here", "trains", "worker_command"]

SOCKET = "REWARDMAP_PREFORK"
"""Variable with the path of the server's socket; ``off`` means no server."""
HOOK = "RAY_RUNTIME_ENV_HOOK"
"""Variable of Ray's with a function that completes the runtime environment of ``ray.init``."""

TRAINERS = ("verl.trainer.main_ppo",)


def worker_command(executable: str = sys.executable) -> str:
    """What stands for ``python`` on Ray's side, as a line for the shell.

    Isolated and without site-packages: the client needs neither and starts in 20 ms so.
    """
    client = Path(__file__).with_name("client.py")
    return shlex.join([executable, "-I", "-S", str(client)])


def executable_of(socket: str) -> Path:
    """The client as an executable file, for what takes no command: ``multiprocessing``."""
    return Path(socket).with_name("python")


def write_executable(path: Path) -> None:
    """Write that file."""
    path.write_text(f'#!/bin/sh\nexec {worker_command()} "$@"\n', encoding="utf-8")
    path.chmod(0o700)


def trains(arguments: Sequence[str]) -> bool:
    """Whether a command line of Python is a training run (and no question about its options)."""
    modules = [name for flag, name in pairwise(arguments) if flag == "-m"]
    asks = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i"} & set(arguments)
    return bool(modules) and modules[0] in TRAINERS and not asks


def start(environ: Mapping[str, str]) -> str | None:
    """Start the server, which ends with this process.

    Returns:
        The path of its socket, for :data:`SOCKET`; ``None`` where ``environ`` names one already or
        forbids it, where Ray runs already (its nodes may be other machines), or on a system that
        has none of what it takes.
    """
    joins_ray = environ.get("RAY_ADDRESS", "") not in ("", "local")  # "local" starts Ray anew
    if environ.get(SOCKET) or joins_ray or sys.platform != "linux":
        return None
    path = str(Path(tempfile.mkdtemp(prefix="rewardmap-")) / "prefork")
    write_executable(executable_of(path))
    alive, _ = os.pipe()  # the end for writing stays open until this process ends, unused
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", f"{__name__}.server", path],
        {**environ, SOCKET: path},
        file_actions=[(os.POSIX_SPAWN_DUP2, alive, 0), (os.POSIX_SPAWN_DUP2, 2, 1)],
        setsid=True,
    )
    os.close(alive)
    return path


def start_here() -> None:
    """Start the server for this process and those that inherit its environment."""
    if os.environ.get(HOOK):
        return  # the user's own, and Ray calls one
    path = start(os.environ)
    if path:
        # Ray kills the children of its program at the end, the server before it can clean up.
        atexit.register(shutil.rmtree, Path(path).parent, ignore_errors=True)
        os.environ[SOCKET] = path
        os.environ[HOOK] = f"{__name__}.{ray_hook.__name__}"


def ray_hook(runtime_env: Mapping[str, Any] | None) -> dict[str, Any]:
    """Have Ray start its processes through the client, unless the user names a Python."""
    given = dict(runtime_env or {})
    return {**given, "py_executable": given.get("py_executable") or worker_command()}
