"""Finished maps that need not be made again: those of an earlier folder or an interrupted run.

A map is reused if its picture, the pixel budget and the code that makes images are the same, and
its file still has the recorded bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import PIL
from pydantic import BaseModel, ConfigDict, ValidationError

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import link_or_copy, remove_folder, write_bytes
from rewardmap_verl.preparation.images import PixelBudget, StoredImage
from rewardmap_verl.preparation.manifest import FileRecord, MapRecord, hash_file, read_manifest
from rewardmap_verl.preparation.paths import inside

__all__ = ["FinishedMap", "MapCache", "code_hash", "map_identity"]

_NOTES = ".finished"  # folder with one note for each finished map, removed at the end
_PACKAGE = Path(__file__).resolve().parents[1]


class FinishedMap(BaseModel):
    """A finished map in the folder that is being built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    image: StoredImage
    positions: str
    """Path of the positions file of a drawn map; "" without positions."""
    original: str = ""
    """Path of the original map; "" if it is not kept."""
    files: dict[str, FileRecord]
    """Records of the image file and the positions file, by path."""


def code_hash(*rooms: str) -> str:
    """Return a hash of the source of some subpackages, such as "drawing".

    With it, results of an older version of the code do not count as up to date.
    """
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((_PACKAGE / room).rglob("*")):
            if path.suffix in (".py", ".yaml", ".json"):
                digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def map_identity(picture: str, budget: PixelBudget, keep_originals: bool = False) -> str:
    """Return a hash of everything that decides the files of a finished map.

    Args:
        picture: Identity of the source picture, ``Picture.identity``.
        budget: The pixel budget.
        keep_originals: Whether the original is one of the files.
    """
    code = code_hash("transit", "drawing") if picture.startswith("drawn") else ""
    resizing = hashlib.sha256()
    for name in ("images.py", "png_strips.py", *(["originals.py"] if keep_originals else [])):
        resizing.update((_PACKAGE / "preparation" / name).read_bytes())
    content = json.dumps(
        [
            picture,
            budget.max_pixels,
            budget.min_pixels,
            budget.patch,
            code,
            resizing.hexdigest(),
            PIL.__version__,
        ]
    )
    return hashlib.sha256(content.encode()).hexdigest()


class MapCache:
    """Finished maps by identity, and the notes about them in the folder that is being built.

    Args:
        building: The folder that is being built, with the maps of an interrupted run.
        previous: The prepared folder that will be replaced, if there is one.
    """

    def __init__(self, building: Path, previous: Path) -> None:
        self._building = building
        self._found: dict[str, tuple[Path, FinishedMap]] = {}
        for folder, finished in (*_of_folder(previous), *_of_notes(building)):
            self._found[finished.identity] = (folder, finished)

    def get(self, identity: str) -> FinishedMap | None:
        """Return a map with its files in the folder that is being built; None if it is unknown."""
        folder, finished = self._found.get(identity, (None, None))
        if folder is None or finished is None:
            return None
        if not all(_is_intact(folder, name, record) for name, record in finished.files.items()):
            return None
        if folder != self._building:
            for name in finished.files:
                link_or_copy(folder / name, self._building / name)
        return finished

    def put(self, finished: FinishedMap) -> None:
        """Record a finished map for the next run, in case this one is interrupted."""
        note = self._building / _NOTES / f"{finished.identity}.json"
        write_bytes(note, finished.model_dump_json().encode())

    def clear(self, keep: Iterable[str]) -> None:
        """Remove the notes and all files of the folder except those in ``keep``."""
        remove_folder(self._building / _NOTES)
        kept = set(keep)
        for path in sorted(self._building.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # not empty: it contains a kept file
                    path.rmdir()
            elif path.relative_to(self._building).as_posix() not in kept:
                path.unlink()


def _of_folder(folder: Path) -> list[tuple[Path, FinishedMap]]:
    try:
        manifest = read_manifest(folder)
    except DataError:
        return []
    found = [_of_record(record, manifest.files) for record in manifest.maps]
    return [(folder, finished) for finished in found if finished is not None]


def _of_record(record: MapRecord, files: dict[str, FileRecord]) -> FinishedMap | None:
    names = [name for name in (record.image, record.positions, record.original) if name]
    if not all(name in files for name in names):
        return None
    return FinishedMap(
        identity=record.identity,
        image=StoredImage(record.image, record.width, record.height, record.image_tokens),
        positions=record.positions,
        original=record.original,
        files={name: files[name] for name in names},
    )


def _of_notes(building: Path) -> list[tuple[Path, FinishedMap]]:
    found = []
    for note in sorted((building / _NOTES).glob("*.json")):
        with contextlib.suppress(OSError, ValidationError):
            found.append((building, FinishedMap.model_validate_json(note.read_bytes())))
    return found


def _is_intact(folder: Path, name: str, record: FileRecord) -> bool:
    try:
        return hash_file(inside(folder, name)) == record
    except (OSError, DataError):
        return False
