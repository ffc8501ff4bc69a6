"""Map images of published rows: a path, base64 text, bytes, or an image feature.

The papers' sets have the image in the column ``figure``. Sets that were saved again by EasyR1, verl
and similar tools have it in ``image`` or ``images``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file, content_fault
from rewardmap_verl.preparation.images import IMAGE_SUFFIXES, PixelBudget, pixel_count, read_map
from rewardmap_verl.preparation.manifest import hash_file
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.preparation.sources.base import Picture, Rendered
from rewardmap_verl.preparation.sources.local import LocalPicture

__all__ = ["BlobPicture", "figure_of", "find_picture", "is_web_address"]

_MAX_BLOB_BYTES = 256 * 1024 * 1024
_COLUMNS = ("figure", "image", "images")
_FORMS = (
    "Give a path below the data root, base64 text of an image file, or an image feature of the "
    "data set."
)


@dataclass(frozen=True, slots=True)
class BlobPicture:
    """An image file whose bytes are in a row."""

    content: bytes
    sha256: str
    where: str
    """The row, for error messages."""

    def identity(self) -> str:
        """Return the hash of the bytes; the same file on disk has the same identity."""
        return f"file {self.sha256}"

    def effort(self) -> int:
        """Return the number of pixels."""
        return pixel_count(io.BytesIO(self.content))

    def render(self, budget: PixelBudget) -> Rendered:
        """Decode and resize the image."""
        with self.file() as path:
            try:
                return Rendered(read_map(path, budget))
            except DataError as error:
                raise DataError(self.where, "figure", error.found, error.hint) from error

    @contextmanager
    def file(self) -> Iterator[Path]:
        """Write the bytes to a temporary file."""
        with tempfile.NamedTemporaryFile(prefix="rewardmap-") as file:
            file.write(self.content)
            file.flush()
            yield Path(file.name)


def figure_of(row: Mapping[str, Any], where: str) -> object:
    """Return the image of a row from the first of its columns figure, image and images.

    Args:
        row: A row of a published set.
        where: The row, for error messages.

    Returns:
        The image in any form; None if the row has none.

    Raises:
        DataError: The row has several images.
    """
    found = next((row[name] for name in _COLUMNS if row.get(name) is not None), None)
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):
        if len(found) > 1:
            hint = "A question is about one map; keep its image only."
            raise DataError(where, "images", f"{len(found)} images", hint)
        found = found[0] if found else None
    if isinstance(found, Mapping) and "image" in found:  # verl: {"image": path, …}
        return found["image"]
    return found


def is_web_address(figure: object) -> bool:
    """Return whether an image is given as an address on the web, which is not downloaded."""
    return isinstance(figure, str) and figure.strip().lower().startswith(("http://", "https://"))


def find_picture(figure: object, roots: Sequence[Path], where: str) -> Picture | None:
    """Return the picture of an image in any form.

    Args:
        figure: A path, base64 text (plain or as a ``data:`` URL), bytes, or a mapping with
            ``bytes`` and ``path``, which ``datasets`` returns for an image that is not decoded.
        roots: Folders in which a path is looked up, in this order.
        where: The row, for error messages.

    Returns:
        The picture; None for a web address and for a path that none of the roots has.

    Raises:
        DataError: The image has none of these forms, or its path leads outside the roots.
    """
    if isinstance(figure, Mapping) and ("bytes" in figure or "path" in figure):
        content = figure.get("bytes")
        return find_picture(figure.get("path") if content is None else content, roots, where)
    if isinstance(figure, bytes):
        return _blob(figure, where)
    if not isinstance(figure, str) or not figure.strip():
        raise DataError(where, "figure", figure, _FORMS)
    if is_web_address(figure):
        return None
    if figure.strip().lower().endswith(IMAGE_SUFFIXES):
        return _file(figure.strip(), roots, where)
    return _blob(_decoded(figure, where), where)


def _file(path: str, roots: Sequence[Path], where: str) -> LocalPicture | None:
    for root in roots:
        found = inside(root, path, where, "figure")
        if found.exists():
            check_file(found, where, "figure")
            return LocalPicture(found, hash_file(found).sha256)
    inside(Path(), path, where, "figure")  # a path to the outside is an error even without roots
    return None


def _decoded(text: str, where: str) -> bytes:
    if len(text) > _MAX_BLOB_BYTES:
        raise DataError(where, "figure", f"{len(text)} characters of base64", "It is too large.")
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(where, "figure", text, f"It is not base64 ({error}). {_FORMS}") from error


def _blob(content: bytes, where: str) -> BlobPicture:
    if not content or len(content) > _MAX_BLOB_BYTES:
        raise DataError(where, "figure", f"{len(content)} bytes", _FORMS)
    if fault := content_fault(content):
        raise DataError(where, "figure", hint=fault)
    return BlobPicture(content, hashlib.sha256(content).hexdigest(), where)
