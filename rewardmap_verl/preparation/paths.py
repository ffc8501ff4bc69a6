"""Paths in data: they must not lead outside the folder of the data.

A data set is untrusted input. Without this check, ``../../etc/passwd``, an absolute path or a
symbolic link could make the program read any file of the user.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from rewardmap_verl.errors import DataError

__all__ = ["PICTURE_FORMATS", "fold_name", "image_inside", "inside", "safe_name"]

PICTURE_FORMATS = ("PNG", "JPEG", "WEBP")
"""Pillow's names of the formats of prepared maps. Pillow would open others as well, whatever the
name of the file, and runs a program for one of them."""

_MAX_PATH_LENGTH = 1000  # characters; systems allow 4,096 bytes including the root
_IMAGE_PATH = re.compile(r"(?:\./)?(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.(?:png|jpe?g|webp)")
_FORBIDDEN_CHARACTERS = frozenset('/\\:*?"<>|')


def inside(root: Path, relative: str, where: object = "path", field: str = "") -> Path:
    """Resolve a relative path from the data and check that it stays inside ``root``.

    Args:
        root: The folder that the data may use. It can be a symbolic link.
        relative: The path in the data; a leading ``./`` is allowed.
        where: The file or row with the path, for the error message.
        field: The field with the path, for the error message.

    Returns:
        The path with all symbolic links resolved. The file may be missing.

    Raises:
        DataError: The path is empty or absolute, contains ``..``, follows a link to the outside,
            or contains a character that is not allowed in file names.
    """
    pure = PurePosixPath(relative.replace("\\", "/"))
    if not relative.strip() or "\0" in relative or len(relative) > _MAX_PATH_LENGTH:
        raise DataError(where, field, relative, "Give the path of a file below the data root.")
    if pure.is_absolute() or ".." in pure.parts:
        raise DataError(
            where, field, relative, f"The path must be relative and stay inside {root}."
        )
    resolved_root = _resolve(root, where, field, relative)
    resolved = _resolve(resolved_root / pure, where, field, relative)
    if not resolved.is_relative_to(resolved_root):
        raise DataError(
            where,
            field,
            relative,
            f"It leads to {resolved} through a link, outside {resolved_root}. "
            "Copy the file into the data root, or use its real folder as the root.",
        )
    return resolved


def _resolve(path: Path, where: object, field: str, relative: str) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or a lone surrogate
        raise DataError(where, field, relative, f"The path cannot be followed: {error}.") from error


def safe_name(name: str, where: object, field: str) -> str:
    """Return ``name`` if it is a valid component of a path in the prepared folder.

    Raises:
        DataError: The name is empty, starts with a dot, or contains a separator or a control
            character.
    """
    control = any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
    if not name.strip() or name.startswith(".") or control or _FORBIDDEN_CHARACTERS & set(name):
        raise DataError(
            where, field, name, "Use a plain name without separators and without a leading dot."
        )
    return name


def image_inside(root: Path, relative: str, where: object = "image", field: str = "") -> Path:
    """Resolve the path of a map image in a prepared folder.

    Raises:
        DataError: The path is not inside ``root``, or is not a plain name of a raster image; pages
            link to it, so that ``javascript:`` or an SVG file with a script would be dangerous.
    """
    path = inside(root, relative, where, field)
    if not _IMAGE_PATH.fullmatch(relative):
        raise DataError(where, field, relative, "Images are PNG, JPEG or WebP with plain names.")
    return path


def fold_name(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode normalization."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
