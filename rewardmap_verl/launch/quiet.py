"""Keep what libraries print out of the terminal; it goes to a log file."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import BinaryIO, TextIO

from rich.console import Console

from rewardmap_verl.launch.display import Display
from rewardmap_verl.launch.log_text import clean

__all__ = ["quiet_output"]

LAST_LINES = 15
"""Lines of the log that are shown after a failure."""
_STREAMS = (1, 2)


@contextmanager
def quiet_output(log: Path | None, verbose: bool = False) -> Iterator[Console]:
    """Write what this process and its children print to a file instead of the terminal.

    If the block fails, the last lines that were written in it are printed to standard error.

    Args:
        log: The file; the output is appended. ``None`` keeps the output for a failure only.
        verbose: Show the output and write no file.

    Yields:
        A console on standard output as it was before.
    """
    if verbose:
        yield Console()
        return
    with _opened(log) as file:
        begin = file.seek(0, os.SEEK_END)
        try:
            with _redirected(file) as terminal:
                yield Console(file=terminal)
        except Exception:
            _show_end(file, begin, log)
            raise


def _opened(log: Path | None) -> BinaryIO:
    if log is None:
        return tempfile.TemporaryFile()
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab+")


@contextmanager
def _redirected(file: BinaryIO) -> Iterator[TextIO]:
    """Send standard output and error to a file, of this process and of those that it starts.

    Yields:
        Standard output as it was before.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(number) for number in _STREAMS]
    terminal = _kept_stdout(kept[0])
    for number in _STREAMS:
        os.dup2(file.fileno(), number)
    try:
        with (
            open(1, "w", 1, "utf-8", "backslashreplace", closefd=False) as text,
            redirect_stdout(text),
            redirect_stderr(text),
        ):
            yield terminal
    finally:
        terminal.flush()
        for number, copy in zip(_STREAMS, kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def _kept_stdout(descriptor: int) -> TextIO:
    """Return standard output on a copy of its descriptor; itself if it has none, as in tests."""
    try:
        is_descriptor = sys.stdout.fileno() == _STREAMS[0]
    except (OSError, ValueError):
        is_descriptor = False
    if not is_descriptor:
        return sys.stdout
    return os.fdopen(descriptor, "w", encoding=sys.stdout.encoding, closefd=False)


def _show_end(file: BinaryIO, begin: int, log: Path | None) -> None:
    file.seek(begin)
    lines = file.read().decode("utf-8", errors="replace").splitlines()
    display = Display(Console(stderr=True))
    if lines:
        display.line(f"Last lines of {log or 'the output'}:")
    for line in lines[-LAST_LINES:]:
        display.line(f"  {clean(line)}")
