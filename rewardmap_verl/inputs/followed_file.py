"""Read what is appended to a text file."""

from __future__ import annotations

from pathlib import Path

__all__ = ["FollowedFile"]


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
