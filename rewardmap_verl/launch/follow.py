"""Read what is added to the record of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rewardmap_verl.curriculum.record import Entry, parse_entry
from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.followed_file import FollowedFile

__all__ = ["FollowedRecord"]


class FollowedRecord:
    """Entries that are added to a record after this object was made.

    A run that returns to an earlier step rewrites its record. The entries that it keeps are
    recognized by their time.
    """

    def __init__(self, path: Path) -> None:
        self._file = FollowedFile(path)
        self._newest = float("-inf")
        for _ in self.read():
            pass

    def read(self) -> Iterator[Entry]:
        """Yield the entries since the last call."""
        entries = [self._parse(line) for line in self._file.read()]
        before = self._newest
        for entry in entries:
            if entry is not None and entry.time > before:
                self._newest = max(self._newest, entry.time)
                yield entry

    def _parse(self, line: str) -> Entry | None:
        """Return an entry; ``None`` for one of another version, which must not stop the run."""
        try:
            return parse_entry(line, self._file.path)
        except DataError:
            return None
