"""Subprocesses with a log file, a time limit, and reliable termination of all descendants."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

import psutil  # type: ignore[import-untyped]

from rewardmap_verl.errors import ConfigError

__all__ = ["StoppedError", "interruptible", "rewardmap_command", "run_parallel", "run_subprocess"]

_Value = TypeVar("_Value")

_POLL_SECONDS = 1.0
_TERMINATE_SECONDS = 10.0
_SHOWN_LINES = 25


class StoppedError(Exception):
    """A subprocess was terminated because another failed or the user interrupted."""


def run_parallel(
    jobs: int, stop: threading.Event, tasks: Iterable[Callable[[], _Value]]
) -> list[_Value]:
    """Call tasks in threads; the first failure, or Ctrl-C, stops the others.

    Args:
        jobs: Number of threads.
        stop: Set to stop the tasks, which pass it to ``run_subprocess``.
        tasks: The tasks, started in this order.

    Returns:
        Their return values, in order.
    """
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(task) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def rewardmap_command(*words: str) -> list[str]:
    """Return a ``rewardmap`` command line that uses the running Python."""
    return [sys.executable, "-c", "from rewardmap_verl.commands.main import app; app()", *words]


def run_subprocess(
    command: Sequence[str],
    log: Path,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    poll: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
) -> float:
    """Run a program and wait for it.

    The program gets its own session, so that Ctrl-C reaches only this process, which then
    terminates the program with all its descendants.

    Args:
        command: The program and its arguments.
        log: File for its output; overwritten.
        seconds: Time limit.
        environment: Variables added to the environment.
        poll: Called about once a second while the program runs.
        stop: Terminates the program when another thread sets it.

    Returns:
        The duration in seconds.

    Raises:
        ConfigError: The program failed or exceeded its time limit; includes its last output lines.
        StoppedError: ``stop`` was set.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with log.open("wb") as file:
        program = subprocess.Popen(
            list(command),
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    seen: dict[int, psutil.Process] = {}
    try:
        while program.poll() is None:
            _remember(program.pid, seen)
            if time.monotonic() - begin > seconds:
                break
            if stop is not None and stop.is_set():
                raise StoppedError
            if poll is not None:
                poll()
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(_POLL_SECONDS)
        failure = "" if program.poll() == 0 else f"exit status {program.poll()}"
        if program.poll() is None:
            failure = f"still running after {seconds / 60:.3g} minutes"
    finally:
        _end(program, seen)
    if failure:
        raise ConfigError(_short(command), found=failure, hint=last_lines(log))
    return time.monotonic() - begin


def _remember(pid: int, seen: dict[int, psutil.Process]) -> None:
    """Record all descendants; one whose parent has ended is no longer listed as a child."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            seen.setdefault(process.pid, process)


def _end(program: subprocess.Popen[bytes], seen: dict[int, psutil.Process]) -> None:
    """Terminate a program and its descendants; kill those that do not comply."""
    _remember(program.pid, seen)
    left = [process for process in seen.values() if process.is_running()]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(left, timeout=_TERMINATE_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_TERMINATE_SECONDS)
    program.poll()


def last_lines(log: Path) -> str:
    """Return the last lines of a log, with its path."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
    return "\n".join([f"The last lines of {log}:", *lines])


def _short(command: Sequence[str]) -> str:
    words = [word for word in command if "\n" not in word and "import " not in word]
    text = " ".join(words[1:])
    return text if len(text) <= 100 else text[:100] + " …"


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that subprocesses are terminated too."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
