"""The manifest of a prepared folder: what is in it, what it was made from, a hash of every file.

It is written last, so a folder with a manifest is whole. It holds neither times nor names of
machines: the same input gives the same manifest, to the byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import write_bytes

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
_LARGEST_MANIFEST = 64 * 1024 * 1024
_BLOCK = 1 << 20


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(_Record):
    """One file of the folder."""

    bytes: int
    sha256: str


class MapRecord(_Record):
    """One map and where it came from."""

    country: str
    city: str
    splits: tuple[str, ...]
    """Splits that hold its questions; two only where one city is all there is."""
    difficulty: str
    """easy, middle or hard."""
    lines: int
    stops: int
    identity: str
    """Hash of the source image, the pixel budget and the code that resizes it: what decides
    whether a finished image can be used again."""
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
    """Path of the pixel positions of stops and labels; "" for a map that was not drawn here."""


class Skipped(_Record):
    """A city that the source has and the folder has not."""

    country: str
    city: str
    reason: str


class Manifest(_Record):
    """Everything that a prepared folder says about itself."""

    format: Literal[1] = 1
    source: str
    """local, synthetic, …"""
    seed: int
    fingerprint: str
    """Hash of settings, inputs and code; equal means that preparing again would change nothing."""
    settings: dict[str, Any]
    versions: dict[str, str]
    """Versions of the packages that shape the bytes."""
    rows: dict[str, int]
    """Rows by split."""
    rows_by_type: dict[str, dict[str, int]]
    """Rows by split and question type."""
    rows_by_difficulty: dict[str, dict[str, int]]
    """Rows by split and map difficulty."""
    rows_by_city: dict[str, dict[str, int]]
    """Rows by split and "country/city"."""
    longest_prompt: dict[str, int]
    """By split, the most prompt tokens of a row, counted as ``settings`` say."""
    maps: tuple[MapRecord, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    """Things that the user should know: quotas that a map could not fill, a split by question."""
    files: dict[str, FileRecord]
    """Every other file of the folder, by its path in it."""

    @property
    def bytes(self) -> int:
        """Size of all files together, without the manifest."""
        return sum(record.bytes for record in self.files.values())


def hash_file(path: Path) -> FileRecord:
    """Return size and SHA-256 of a file, read block by block."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return FileRecord(bytes=size, sha256=digest.hexdigest())


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Return a record of every file below ``folder`` but the manifest, sorted by path."""
    paths = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    return {path: hash_file(folder / path) for path in paths if path != MANIFEST_NAME}


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest atomically; call it when everything else is in its place."""
    text = json.dumps(
        manifest.model_dump(mode="json"), ensure_ascii=False, indent=1, sort_keys=True
    )
    write_bytes(folder / MANIFEST_NAME, f"{text}\n".encode())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a prepared folder.

    Raises:
        DataError: There is none, or it is not one of this version's.
    """
    path = folder / MANIFEST_NAME
    again = "Prepare the data again with `rewardmap prepare`."
    try:
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise DataError(path, "size", path.stat().st_size, again)
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(path, found=error.strerror, hint=again) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DataError(path, field, first["msg"], again) from error


def differences(manifest: Manifest, folder: Path) -> Iterable[str]:
    """Yield one sentence for each file that is missing, changed or not in the manifest."""
    for name, record in manifest.files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            yield f"{name}: leads out of the folder"
        elif not path.is_file():
            yield f"{name}: missing"
        elif path.stat().st_size != record.bytes or hash_file(path) != record:
            yield f"{name}: its content has changed since it was prepared"
    known = {*manifest.files, MANIFEST_NAME}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            yield f"{name}: not in the manifest"
