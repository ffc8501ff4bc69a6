"""Programs that run beside this one: their output in a file, ended in time, nothing left behind."""

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

__all__ = ["StoppedError", "interruptible", "rewardmap_command", "run_child", "side_by_side"]

_Value = TypeVar("_Value")

_LOOK_SECONDS = 1.0
_MERCY_SECONDS = 10.0
_SHOWN_LINES = 25


class StoppedError(Exception):
    """A program was ended because another has failed or the user wished so."""


def side_by_side(
    jobs: int, stop: threading.Event, tasks: Iterable[Callable[[], _Value]]
) -> list[_Value]:
    """Call ``tasks`` in ``jobs`` threads; the first failure, or Ctrl-C, ends the others.

    Args:
        jobs: Most that are under way at a time.
        stop: Set when they are to end; they hand it to :func:`run_child`.
        tasks: What is to be done; begun in this order.

    Returns:
        What they returned, in their order.
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
    """A command of this package, run by the same Python."""
    return [sys.executable, "-c", "from rewardmap_verl.commands.main import app; app()", *words]


def run_child(
    command: Sequence[str],
    log: Path,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    look: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
) -> float:
    """Run a program to its end.

    It gets a session of its own, so that Ctrl-C reaches this program alone, which then ends the
    other with everything that it has started.

    Args:
        command: The program and its arguments.
        log: File for its output, begun anew.
        seconds: The longest that it may take.
        environment: Variables over those of this program.
        look: Called about once a second while it runs.
        stop: Ends it when it is set, by another thread.

    Returns:
        Seconds that it took.

    Raises:
        ConfigError: It failed or took too long; the message ends with its last lines.
        StoppedError: It was ended by ``stop``.
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
            if look is not None:
                look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(_LOOK_SECONDS)
        failure = "" if program.poll() == 0 else f"exit status {program.poll()}"
        if program.poll() is None:
            failure = f"no end after {seconds / 60:.3g} minutes"
    finally:
        _end(program, seen)
    if failure:
        raise ConfigError(_short(command), found=failure, hint=last_lines(log))
    return time.monotonic() - begin


def _remember(pid: int, seen: dict[int, psutil.Process]) -> None:
    """Keep every descendant: one whose parent has ended is found in no list of children."""
    with contextlib.suppress(psutil.Error):
        whole = psutil.Process(pid)
        for process in (whole, *whole.children(recursive=True)):
            seen.setdefault(process.pid, process)


def _end(program: subprocess.Popen[bytes], seen: dict[int, psutil.Process]) -> None:
    """End a program and everything that it has started, first asking, then by force."""
    _remember(program.pid, seen)
    left = [process for process in seen.values() if process.is_running()]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, left = psutil.wait_procs(left, timeout=_MERCY_SECONDS)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=_MERCY_SECONDS)
    program.poll()


def last_lines(log: Path) -> str:
    """The end of a program's output."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
    return "\n".join([f"Its output is in {log} and ends with:", *lines])


def _short(command: Sequence[str]) -> str:
    words = [word for word in command if "\n" not in word and "import " not in word]
    text = " ".join(words[1:])
    return text if len(text) <= 100 else text[:100] + " …"


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Take a request to end (SIGTERM) as Ctrl-C, so that what was started is ended too."""

    def interrupt(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
