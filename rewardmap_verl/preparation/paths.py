"""Paths that come with data: they may not leave the folder that the data lives in.

A data set is input from outside. ``../../etc/passwd``, an absolute path or a symbolic link that
points out of the root would otherwise let it read any file of the user who prepares it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rewardmap_verl.errors import DataError

__all__ = ["inside", "safe_name"]

_LONGEST = 1000  # characters of a path; systems allow 4,096 bytes with the root before it
_FORBIDDEN_IN_NAMES = frozenset('/\\:*?"<>|\0\n\r\t')


def inside(root: Path, relative: str, where: object = "path", field: str = "") -> Path:
    """Resolve a relative path from the data and make sure that it stays inside ``root``.

    Args:
        root: The folder that the data may use; it may itself be reached through a link.
        relative: A path as the data spells it; a leading ``./`` is fine.
        where: What to name in the error, such as the file or row that holds the path.
        field: The field of the row that holds the path.

    Returns:
        The path with all links resolved. It need not exist.

    Raises:
        DataError: The path is empty or absolute, climbs out with ``..``, goes through a link that
            leaves ``root``, or holds a character that no file name may have.
    """
    pure = PurePosixPath(relative.replace("\\", "/"))
    if not relative.strip() or "\0" in relative or len(relative) > _LONGEST:
        raise DataError(where, field, relative, "Give the path of a file below the data root.")
    if pure.is_absolute() or ".." in pure.parts:
        raise DataError(where, field, relative, f"Paths are relative and stay inside {root}.")
    resolved_root = root.resolve()
    resolved = _resolve(resolved_root / pure, where, field, relative)
    if not resolved.is_relative_to(resolved_root):
        raise DataError(
            where,
            field,
            relative,
            f"It leads to {resolved} through a link, outside {resolved_root}; "
            "copy the file into the data root or make its real folder the root.",
        )
    return resolved


def _resolve(path: Path, where: object, field: str, relative: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a lone surrogate
        raise DataError(where, field, relative, f"The path cannot be followed: {error}.") from error


def safe_name(name: str, where: object, field: str) -> str:
    """Return ``name`` when it can serve as one part of a path in the prepared folder.

    Raises:
        DataError: The name is empty, hidden (``.git``, ``..``), or holds a separator or a control
            character.
    """
    if not name.strip() or name.startswith(".") or _FORBIDDEN_IN_NAMES & set(name):
        raise DataError(
            where, field, name, "Use a plain name, without separators or a leading dot."
        )
    return name
