"""The manifest of a prepared folder: its contents, their origin, and a hash of every file.

It is written last, so a folder with a manifest is complete. It contains no times and no names of
machines: the same input gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.preparation.atomic import json_bytes, write_bytes

__all__ = [
    "MANIFEST_NAME",
    "FileRecord",
    "Manifest",
    "MapRecord",
    "Skipped",
    "differences",
    "hash_file",
    "read_manifest",
    "record_files",
    "write_manifest",
]

MANIFEST_NAME = "manifest.json"
_MAX_MANIFEST_BYTES = 64 * 1024 * 1024
_BLOCK_BYTES = 1 << 20


class _ManifestModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_ManifestModel):
    """One file of the folder."""

    bytes: int
    sha256: str


class MapRecord(_ManifestModel):
    """One map of the folder."""

    country: str
    city: str
    splits: tuple[str, ...]
    """Splits with questions about it; both only if it is the only city."""
    difficulty: str
    """easy, middle or hard."""
    lines: int
    stops: int
    identity: str
    """Hash of the source image, the pixel budget and the code that resizes it; equal means that the
    finished image can be reused."""
    image: str
    """Path in the folder."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    image_tokens: int
    """Visual tokens, one for each patch."""
    network: str
    """Path in the folder."""
    positions: str = ""
    """Path of the pixel positions of stops and labels; "" if this package did not draw the map."""
    original: str = ""
    """Path of the map at its full size; "" if it is not kept."""


class Skipped(_ManifestModel):
    """A city of the source that is not in the folder."""

    country: str
    city: str
    reason: str


class Manifest(_ManifestModel):
    """Description of a prepared folder."""

    format: Literal[1] = 1
    source: str
    """local, synthetic, reasonmap or gtfs."""
    seed: int
    fingerprint: str
    """Hash of settings, inputs and code; if it is equal, preparing again would change nothing."""
    settings: dict[str, Any]
    versions: dict[str, str]
    """Versions of the packages that influence the bytes."""
    rows: dict[str, int]
    """Rows by split."""
    rows_by_type: dict[str, dict[str, int]]
    """Rows by split and question type."""
    rows_by_difficulty: dict[str, dict[str, int]]
    """Rows by split and map difficulty."""
    rows_by_city: dict[str, dict[str, int]]
    """Rows by split and "country/city"."""
    longest_prompt: dict[str, int]
    """Maximum prompt length in tokens by split, exact or an upper bound as ``settings`` say."""
    maps: tuple[MapRecord, ...]
    skipped: tuple[Skipped, ...] = ()
    dropped: dict[str, dict[str, int]] = {}
    """Number of rows of the source that are not in the folder, by split and reason."""
    notes: tuple[str, ...] = ()
    """Remarks for the user, such as quotas that a map could not fill or rows that were dropped."""
    files: dict[str, FileRecord]
    """All other files of the folder, by path."""

    @property
    def bytes(self) -> int:
        """Total size of all files except the manifest."""
        return sum(record.bytes for record in self.files.values())


def hash_file(path: Path) -> FileRecord:
    """Return size and SHA-256 of a file. It is read in blocks of 1 MiB."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return FileRecord(bytes=size, sha256=digest.hexdigest())


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Return a record of every file below ``folder`` except the manifest, sorted by path."""
    paths = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return {path: hash_file(folder / path) for path in paths if path != MANIFEST_NAME}


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest atomically. All other files must be in place."""
    write_bytes(folder / MANIFEST_NAME, json_bytes(manifest.model_dump(mode="json")))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared folder.

    Raises:
        DataError: There is no manifest, or it does not have the format of this version.
    """
    path = folder / MANIFEST_NAME
    again = "Prepare the data again with `rewardmap prepare`."
    try:
        if path.exists():
            check_file(path)
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise DataError(path, "size", path.stat().st_size, again)
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        hint = f"It has no {MANIFEST_NAME}. Make a folder of data with `rewardmap prepare`."
        raise DataError(folder, hint=hint) from error
    except OSError as error:
        raise DataError(path, found=error.strerror, hint=again) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(path, field, first["msg"], again) from error


def differences(manifest: Manifest, folder: Path) -> Iterable[str]:
    """Yield one message for each file that is missing, changed or not in the manifest."""
    for name, record in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            yield f"{name}: leads outside the folder"
        elif not path.is_file():
            yield f"{name}: missing"
        elif path.stat().st_size != record.bytes or hash_file(path) != record:
            yield f"{name}: its content has changed since it was prepared"
    known = {*manifest.files, MANIFEST_NAME}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            yield f"{name}: not in the manifest"
