"""Writing so that nothing half-written is ever taken for whole.

Single files appear under their name only when complete (:func:`write_bytes`). A prepared folder is
built beside its destination and moved there in one step at the very end (:class:`Workshop`); when
the build fails, what stood at the destination before is still there, untouched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rewardmap_verl.errors import DataError

__all__ = ["disk_errors", "remove_folder", "workshop", "write_bytes"]

_UNFINISHED = ".unfinished"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it holds either all of ``content`` or is not there under its name.

    Parent folders are made. The bytes reach the disk before the name does.

    Raises:
        OSError: The disk is full, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        with unfinished.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder and what is in it, or do nothing when it is not there."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn failures of the disk that a user can fix into one readable :class:`DataError`."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "The disk is full: free some space",
            errno.EDQUOT: "Your disk quota is used up: free some space",
            errno.EFBIG: "The system limits the size of files (ulimit -f): raise that limit",
            errno.EACCES: "Permission denied: choose a folder that you may write",
            errno.EPERM: "Not permitted: choose a folder that you may write",
            errno.EROFS: "The disk is read-only: choose another folder",
            errno.ENOENT: "It cannot be made there: choose another folder",
            errno.ENOTDIR: "A part of its path is a file: choose another folder",
            errno.ENAMETOOLONG: "Its name is too long: choose a shorter one",
        }.get(error.errno or 0)
        if advice is None:
            raise
        raise DataError(
            error.filename or target,
            hint=f"{advice} and run the same command again. {target} was not changed; maps that "
            "were finished are kept and not made twice.",
        ) from error


@contextlib.contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """Give a folder to build in, and move it to ``target`` when the block ends without an error.

    The folder stands beside ``target`` (same file system, so that the move is one rename) under a
    fixed hidden name. After an error or a kill it stays, so that the next run finds finished maps.

    Raises:
        DataError: Another process is building the same target, or ``target`` is not a folder that
            was made by a preparation.
    """
    building = target.with_name(f".{target.name}.building")
    _refuse_foreign(target)
    building.mkdir(parents=True, exist_ok=True)
    with _locked(building, target):
        _sweep_unfinished(building)
        yield building
        _move_into_place(building, target)


def _refuse_foreign(target: Path) -> None:
    """Never replace a folder that this package did not make: it may hold somebody's work."""
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError(target, hint="It is a file; choose another output folder.")
    if any(target.iterdir()) and not (target / "manifest.json").is_file():
        raise DataError(
            target,
            hint="The folder is not empty and holds no manifest.json, so it is not a prepared data "
            "set; choose another output folder or empty it yourself.",
        )


@contextlib.contextmanager
def _locked(folder: Path, target: Path) -> Iterator[None]:
    """Hold an exclusive lock on ``folder``; the system drops it when the process ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                target, hint="Another process is preparing this folder; wait for it to end."
            ) from error
        yield
    finally:
        os.close(handle)


def _sweep_unfinished(folder: Path) -> None:
    for leftover in folder.rglob(f".*{_UNFINISHED}"):
        leftover.unlink()


def _move_into_place(building: Path, target: Path) -> None:
    """Swap the finished folder in. A kill between the two renames leaves both, whole, beside it."""
    previous = target.with_name(f".{target.name}.previous")
    remove_folder(previous)
    if target.exists():
        target.rename(previous)
    try:
        building.rename(target)
    except OSError:
        if previous.exists():
            previous.rename(target)
        raise
    remove_folder(previous)
