"""Run a program with its output in a file, and end it cleanly on Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SIGNALS", "run_program"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Signals that are passed on to the program."""

POLL = 0.25
"""Seconds between two looks at the program."""
GRACE = (20.0, 10.0)
"""Seconds that a program has after the passed signal, and after SIGTERM, before the next one."""


def run_program(
    command: Sequence[str],
    log: Path,
    variables: Mapping[str, str],
    watch: Callable[[], None],
    stopping: Callable[[], None] = lambda: None,
    grace: Sequence[float] = GRACE,
) -> int:
    """Run a program until it ends.

    The program is in a separate session, so that Ctrl-C reaches it once, from here. A second
    signal kills it.

    Args:
        command: The program and its arguments.
        log: File that its output is appended to, after a line with the command.
        variables: Environment variables to add to those of this process.
        watch: Called several times per second while the program runs, and once afterwards.
        stopping: Called once when a signal is passed on.
        grace: See ``GRACE``.

    Returns:
        Its exit code, or 128 + N if it was ended by signal N, or by us because of signal N.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"$ {shlex.join(command)}\n".encode())
        file.flush()
        program = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
            start_new_session=True,
        )
    try:
        with _passed_signals(program, stopping, grace) as (check, received):
            while program.poll() is None:
                watch()
                check()
                time.sleep(POLL)
            watch()
    finally:
        program.kill()  # only after an error in ``watch``; nothing happens to an ended program
    code = program.returncode
    number = received[0] if received else -code if code < 0 else None
    return code if number is None else 128 + number


@contextmanager
def _passed_signals(
    program: subprocess.Popen[bytes], stopping: Callable[[], None], grace: Sequence[float]
) -> Iterator[tuple[Callable[[], None], list[int]]]:
    """Pass signals on to a program.

    Yields:
        A function to call regularly, which ends a program that ignores them, and the signals that
        have been received.
    """
    received: list[int] = []
    passed: list[int] = []
    later = [signal.SIGTERM, signal.SIGKILL]
    deadlines: list[float] = []

    def handle(number: int, _frame: object) -> None:
        received.append(number)

    def check() -> None:
        if received and not passed:
            passed.append(received[0])
            program.send_signal(received[0])
            start = time.monotonic()
            deadlines.extend((start + grace[0], start + grace[0] + grace[1]))
            stopping()
        if len(received) > 1:
            program.kill()
        while deadlines and time.monotonic() > deadlines[0]:
            deadlines.pop(0)
            program.send_signal(later.pop(0))

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield check, received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
