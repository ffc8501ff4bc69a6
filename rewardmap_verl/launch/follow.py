"""Read what is appended to a text file, and to the record of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rewardmap_verl.curriculum.record import Entry, parse_entry
from rewardmap_verl.errors import DataError

__all__ = ["FollowedFile", "FollowedRecord"]


class FollowedFile:
    """Complete lines that are appended to a file; from its start again if it is replaced.

    Args:
        path: The file; it need not exist yet.
        offset: Position of the first byte to read.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        self._offset = offset
        self._inode: int | None = None

    def read(self) -> list[str]:
        """Return the lines since the last call, without their line ends."""
        try:
            with self.path.open("rb") as file:
                self._restart_if_replaced()
                file.seek(self._offset)
                added = file.read()
        except OSError:  # not there yet, or just being replaced
            return []
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode("utf-8", errors="replace").splitlines()

    def _restart_if_replaced(self) -> None:
        status = self.path.stat()
        replaced = self._inode is not None and status.st_ino != self._inode
        if replaced or status.st_size < self._offset:
            self._offset = 0
        self._inode = status.st_ino


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
