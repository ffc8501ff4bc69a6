"""Checks of input files before they are read.

Opening a FIFO blocks for ever, and a Git LFS pointer or an archive in the place of the real file
gives an error of the parser that does not help. These checks name the actual fault.
"""

from __future__ import annotations

from pathlib import Path

from rewardmap_verl.errors import DataError

__all__ = ["check_file", "check_regular", "content_fault", "is_folder", "is_regular", "read_text"]

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_ARCHIVES = (
    (b"PK\x03\x04", "zip archive"),
    (b"\x1f\x8b", "gzip file"),
    (b"7z\xbc\xaf", "7z archive"),
)
_HEAD_BYTES = 64


def check_file(path: Path, where: object = None, field: str = "") -> None:
    """Check that a path is a regular file with usable content.

    Args:
        path: The path.
        where: What to name in the error; the path by default.
        field: The field that contains the path.

    Raises:
        DataError: The path does not exist, is not a regular file, is empty, or is a Git LFS pointer
            or an archive.
    """
    where = path if where is None else where
    check_regular(path, where, field)
    with path.open("rb") as stream:
        fault = content_fault(stream.read(_HEAD_BYTES))
    if fault:
        raise DataError(where, field, hint=fault)


def check_regular(path: Path, where: object = None, field: str = "") -> None:
    """Check that a path is a regular file, as ``check_file`` does, whatever its content."""
    where = path if where is None else where
    try:
        found = path.exists()
    except (OSError, ValueError) as error:  # a name that is too long, or has a zero byte
        raise DataError(where, field, found=str(error), hint="It is no usable path.") from None
    if not found:
        raise DataError(where, field, hint=f"{path} does not exist.")
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or device"
        raise DataError(where, field, found=kind, hint=f"{path} must be a regular file.")


def is_folder(path: Path) -> bool:
    """Return whether a path from outside is a folder; False for what cannot be a path."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_regular(path: Path) -> bool:
    """Return whether a path from outside is a regular file; False for what cannot be a path."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """Return the text of a regular file in UTF-8.

    Raises:
        DataError: It is no regular file, cannot be read, or is not UTF-8.
    """
    try:
        check_regular(path)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, found=str(error), hint="Give a readable text file.") from None


def content_fault(head: bytes) -> str:
    """Return what is wrong with a file that starts with these bytes; "" if nothing is known."""
    if not head:
        return "The file is empty."
    if head.startswith(_LFS_POINTER):
        return (
            "This is a Git LFS pointer, not the file itself. Run `git lfs pull` in its repository."
        )
    for magic, kind in _ARCHIVES:
        if head.startswith(magic):
            return f"This is a {kind}. Unpack it first."
    return ""
