"""Crash-safe writing: an interrupted run never leaves a partial result under its final name.

A file appears under its name only when it is complete (``write_bytes``). A folder is built
beside its destination and put into place at the very end (``staging_folder``); until then an
existing folder stays untouched. One process at a time writes an output (``exclusive_lock``).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from rewardmap_verl.errors import DataError

__all__ = [
    "disk_errors",
    "exclusive_lock",
    "json_bytes",
    "link_or_copy",
    "remove_folder",
    "replace_folder",
    "staging_file",
    "staging_folder",
    "unfinished_file",
    "write_bytes",
    "write_files",
]

_UNFINISHED = ".unfinished"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that its name refers either to the complete ``content`` or to the old file.

    Parent folders are created. The bytes are on disk before the name is.

    Raises:
        OSError: The disk is full, or the folder is not writable.
    """
    with unfinished_file(path) as unfinished, unfinished.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """Yield a file beside ``path`` to fill; it gets that name if the block ends without error.

    Parent folders are created. The file is removed after an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def link_or_copy(source: Path, path: Path) -> None:
    """Make ``path`` a hard link to a file, or a copy where the file system has no links."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        with unfinished_file(path) as unfinished:
            shutil.copyfile(source, unfinished)


def json_bytes(value: object) -> bytes:
    """Serialize readable JSON with sorted keys: equal values give equal bytes."""
    return (json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, each as ``write_bytes`` does, one process at a time.

    Partial files that a killed process left behind are removed.

    Returns:
        The files.

    Raises:
        DataError: Another process is writing to the folder.
        OSError: The disk is full, or the folder is not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
        for name, content in contents.items():
            for partial in folder.glob(f".{name}.*{_UNFINISHED}"):
                partial.unlink(missing_ok=True)
            write_bytes(folder / name, content)
    return [folder / name for name in contents]


def remove_folder(path: Path) -> None:
    """Remove a folder with its contents, if it exists."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


@contextlib.contextmanager
def disk_errors(target: Path, kept: str = "") -> Iterator[None]:
    """Convert failures of the disk into a ``DataError``.

    Args:
        target: The output; it must be unchanged after a failure inside the block.
        kept: A sentence about what the next run can reuse.
    """
    try:
        yield
    except OSError as error:
        hint = _disk_hint(error)
        raise DataError(
            error.filename or target,
            hint=f"{hint} and run the same command again. {target} was not changed. {kept}".strip(),
        ) from error


def _disk_hint(error: OSError) -> str:
    hints = {
        errno.ENOSPC: "The disk is full: free some space",
        errno.EDQUOT: "Your disk quota is used up: free some space",
        errno.EFBIG: "The system limits the size of files (ulimit -f): raise that limit",
        errno.EACCES: "Permission denied: choose a folder that you can write to",
        errno.EPERM: "Not permitted: choose a folder that you can write to",
        errno.EROFS: "The disk is read-only: choose another folder",
        errno.ENOENT: "It cannot be created there: choose another folder",
        errno.ENOTDIR: "A part of its path is a file: choose another folder",
        errno.EEXIST: "There is a file of this name: choose another folder",
        errno.EISDIR: "It is a folder: choose another name",
        errno.ENAMETOOLONG: "Its name is too long: choose a shorter one",
    }
    other = f"The system reports `{error.strerror or error}`: remove the cause"
    return hints.get(error.errno or 0, other)


@contextlib.contextmanager
def exclusive_lock(path: Path, output: Path | None = None) -> Iterator[None]:
    """Hold an exclusive lock on an existing file or folder while the block runs.

    The system releases the lock when the process ends, however it ends. On a file system without
    locks every process gets it.

    Args:
        path: The file or folder to lock.
        output: The output to name in the error; ``path`` by default.

    Raises:
        DataError: Another process holds the lock.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        if not _acquire(handle, path):
            hint = "Another process is writing to it. Wait until it ends."
            raise DataError(output or path, hint=hint)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path) -> bool:
    """Lock an open file; False if it is locked, or is no longer the file of this name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:  # some network file systems
            return True
        raise


@contextlib.contextmanager
def staging_file(target: Path) -> Iterator[Path]:
    """Yield a file to fill; it replaces ``target`` when the block ends without an error.

    It is beside ``target`` under a fixed hidden name, so that the next run overwrites what a killed
    one left behind. Parent folders are created. The bytes are on disk before the name is.

    Raises:
        DataError: Another process is writing the same target.
        OSError: The disk is full, or the folder is not writable.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}{_UNFINISHED}")
    if staging.is_symlink():
        staging.unlink()
    staging.touch()
    with exclusive_lock(staging, target):
        try:
            yield staging
            with staging.open("rb") as stream:
                os.fsync(stream.fileno())
            staging.replace(target)
        except BaseException:
            staging.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def staging_folder(target: Path, marker: str, resume: bool = False) -> Iterator[Path]:
    """Yield a folder to fill; it replaces ``target`` when the block ends without an error.

    The staging folder is beside ``target``, on the same file system, under a fixed hidden name. The
    previous ``target`` stays until the exchange. What a killed run left behind is restored or
    removed here, at the next run.

    Args:
        target: The folder to create or replace.
        marker: Name of a file that the block writes; an existing folder without it was made by
            someone else and is not replaced.
        resume: Whether to keep the staging folder after an error and to start from it.

    Raises:
        DataError: Another process is writing the same target, or ``target`` exists and is not a
            folder of this kind.
    """
    target = Path(os.path.realpath(target))
    staging = target.with_name(f".{target.name}.building")
    _refuse_foreign(target, marker)
    for path in (staging, _previous(target)):
        if path.is_symlink():  # planted in a stranger's folder, whose target would be swept
            path.unlink()
    staging.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(staging, target):
        _restore(target)
        _sweep(staging, resume)
        try:
            yield staging
        except BaseException:
            if not resume:
                remove_folder(staging)
            raise
        replace_folder(staging, target)


def _refuse_foreign(target: Path, marker: str) -> None:
    """Reject a target that this package did not write: it may hold somebody's work."""
    if not target.exists():
        return
    if not target.is_dir():
        raise DataError(target, hint="It is a file; choose another output folder.")
    if target.is_mount():
        hint = "It is a mount point and cannot be replaced; choose a folder inside it."
        raise DataError(target, hint=hint)
    if any(target.iterdir()) and not (target / marker).is_file():
        raise DataError(
            target,
            hint=f"The folder is not empty and has no {marker}, so this command did not write it. "
            "Choose another output folder or empty it yourself.",
        )


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def _restore(target: Path) -> None:
    """Put back the folder that a run moved away before it was killed, or remove its remains."""
    previous = _previous(target)
    if previous.exists() and not target.exists():
        previous.rename(target)
    remove_folder(previous)


def _sweep(staging: Path, resume: bool) -> None:
    """Remove partial files, or everything, that an earlier run left in the staging folder."""
    for path in staging.rglob(f".*{_UNFINISHED}") if resume else staging.iterdir():
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        else:
            path.unlink()


def replace_folder(new: Path, target: Path) -> None:
    """Move ``new`` to ``target``, replacing a folder there.

    The two are exchanged by one system call, so that ``target`` is complete at every moment. Where
    the file system cannot do that, two renames do it; if the process is killed between them, the
    next ``staging_folder`` of the same target restores the old folder.
    """
    previous = _previous(target)
    if not target.exists():
        new.rename(target)
    elif _exchange(new, target):
        new.rename(previous)
    else:
        target.rename(previous)
        try:
            new.rename(target)
        except OSError:
            previous.rename(target)
            raise
    remove_folder(previous)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two paths atomically (Linux ``renameat2``); False where that is not supported."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    names = (os.fsencode(first), os.fsencode(second))
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(second))
