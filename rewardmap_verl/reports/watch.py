"""Notice new steps of runs in progress."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rewardmap_verl.curriculum.record import RECORD_NAME

__all__ = ["new_states"]

State = tuple[tuple[str, int], ...]
"""The records of the runs: path and size; empty before the first step."""

POLL = 2.0
"""Seconds between polls of the records."""
_REST = 3
"""Length of the pause after a report, as a multiple of the time it took to write."""


def new_states(folders: Sequence[Path]) -> Iterator[State]:
    """Yield the state of the records now, and again whenever it has changed; never ends.

    The caller's work between two states counts: a pause follows it, so that watching takes a
    fraction of the machine that the run needs.

    Args:
        folders: Folders of runs.
    """
    known: State | None = None
    while True:
        state = _state(folders)
        if state == known:
            time.sleep(POLL)
            continue
        known = state
        begun = time.monotonic()
        yield state
        time.sleep(max(POLL, _REST * (time.monotonic() - begun)))


def _state(folders: Sequence[Path]) -> State:
    found = (path for folder in folders for path in sorted(folder.rglob(RECORD_NAME)))
    return tuple((str(path), path.stat().st_size) for path in found if path.is_file())
