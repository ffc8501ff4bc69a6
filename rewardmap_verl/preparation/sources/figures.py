"""The forms in which published rows hold a map image: a path, base64 text, or an image feature."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.images import IMAGE_SUFFIXES, PixelBudget, pixel_count, read_map
from rewardmap_verl.preparation.manifest import hash_file
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.preparation.sources.base import Picture, Rendered
from rewardmap_verl.preparation.sources.local import LocalPicture

__all__ = ["BlobPicture", "find_picture"]

_LARGEST_BLOB = 256 * 1024 * 1024
_MEND = (
    "A figure is a path below the data root, base64 text of an image file, or an image feature "
    "of the data set."
)


@dataclass(frozen=True, slots=True)
class BlobPicture:
    """The bytes of an image file, as they came with a row."""

    content: bytes
    sha256: str
    where: str
    """The row that they came with, for errors."""

    def identity(self) -> str:
        """The hash of the bytes: the same file on a disk is the same picture."""
        return f"file {self.sha256}"

    def effort(self) -> int:
        """Pixels to read."""
        return pixel_count(io.BytesIO(self.content))

    def render(self, budget: PixelBudget) -> Rendered:
        """Decode and resize it."""
        with tempfile.NamedTemporaryFile(prefix="rewardmap-") as file:
            file.write(self.content)
            file.flush()
            try:
                return Rendered(read_map(Path(file.name), budget))
            except DataError as error:
                raise DataError(self.where, "figure", error.found, error.hint) from error


def find_picture(figure: object, roots: Sequence[Path], where: str) -> Picture | None:
    """Return the picture that a row's ``figure`` means, whatever its form.

    Args:
        figure: A path, base64 text (plain or as a ``data:`` address), a mapping with ``bytes`` and
            ``path`` as ``datasets`` gives for an undecoded image feature, or bytes.
        roots: Folders in which a path is looked up, first come, first served.
        where: The row, for errors.

    Returns:
        The picture, or None for a path that none of the roots has.

    Raises:
        DataError: The figure has none of these forms, is no base64, or its path leaves the roots.
    """
    if isinstance(figure, Mapping) and ("bytes" in figure or "path" in figure):
        content = figure.get("bytes")
        return find_picture(figure.get("path") if content is None else content, roots, where)
    if isinstance(figure, bytes):
        return _blob(figure, where)
    if not isinstance(figure, str) or not figure.strip():
        raise DataError(where, "figure", figure, _MEND)
    if figure.strip().lower().endswith(IMAGE_SUFFIXES):
        return _file(figure.strip(), roots, where)
    return _blob(_decoded(figure, where), where)


def _file(path: str, roots: Sequence[Path], where: str) -> LocalPicture | None:
    for root in roots:
        found = inside(root, path, where, "figure")
        if found.is_file():
            return LocalPicture(found, hash_file(found).sha256)
    inside(Path(), path, where, "figure")  # a path that leaves is an error, with or without roots
    return None


def _decoded(text: str, where: str) -> bytes:
    if len(text) > _LARGEST_BLOB:
        raise DataError(where, "figure", f"{len(text)} characters of base64", "It is too large.")
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(where, "figure", text, f"It is no base64 ({error}). {_MEND}") from error


def _blob(content: bytes, where: str) -> BlobPicture:
    if not content or len(content) > _LARGEST_BLOB:
        raise DataError(where, "figure", f"{len(content)} bytes", _MEND)
    return BlobPicture(content, hashlib.sha256(content).hexdigest(), where)
