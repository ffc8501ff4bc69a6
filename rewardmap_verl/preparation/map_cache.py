"""Finished maps that need not be made again: those of the folder before, and of an interrupted run.

A map is taken from the shelf when the identity of its picture, the pixel budget and the code that
makes images are the same, and its file still has the bytes that were recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import PIL
from pydantic import BaseModel, ConfigDict, ValidationError

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes
from rewardmap_verl.preparation.images import PixelBudget, StoredImage
from rewardmap_verl.preparation.manifest import FileRecord, hash_file, read_manifest
from rewardmap_verl.preparation.paths import inside

__all__ = ["Finished", "Shelf", "code_hash", "map_identity"]

_NOTES = ".finished"  # below the folder being built: one note for each finished map
_PACKAGE = Path(__file__).resolve().parents[1]


class Finished(BaseModel):
    """A map that lies ready in the folder being built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: str
    image: StoredImage
    positions: str
    """Path of the positions of a drawn map; "" when there are none."""
    files: dict[str, FileRecord]
    """Records of the image and of the positions, by path."""


def code_hash(*rooms: str) -> str:
    """Return a hash of the source of some rooms of this package, such as "drawing".

    It makes a new version of the code do its work anew instead of calling old results up to date.
    """
    digest = hashlib.sha256()
    for room in rooms:
        for path in sorted((_PACKAGE / room).rglob("*")):
            if path.suffix in (".py", ".yaml", ".json"):
                digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def map_identity(picture: str, budget: PixelBudget) -> str:
    """Return the hash of all that decides how a finished map looks."""
    code = code_hash("transit", "drawing") if picture.startswith("drawn") else ""
    own = hashlib.sha256()
    for name in ("images.py", "png_strips.py"):
        own.update((_PACKAGE / "preparation" / name).read_bytes())
    content = json.dumps(
        [
            picture,
            budget.max_pixels,
            budget.min_pixels,
            budget.patch,
            code,
            own.hexdigest(),
            PIL.__version__,
        ]
    )
    return hashlib.sha256(content.encode()).hexdigest()


class Shelf:
    """Looks up finished maps and puts them into the folder being built."""

    def __init__(self, building: Path, previous: Path) -> None:
        """Look through both folders.

        Args:
            building: The folder being built, with what an interrupted run left in it.
            previous: The prepared folder that will be replaced; it may not be there.
        """
        self._building = building
        self._found: dict[str, tuple[Path, Finished]] = {}
        for folder, finished in (*_of_folder(previous), *_of_notes(building)):
            self._found[finished.identity] = (folder, finished)

    def take(self, identity: str) -> Finished | None:
        """Return a finished map with its files in the folder being built, or None."""
        folder, finished = self._found.get(identity, (None, None))
        if folder is None or finished is None:
            return None
        if not all(_is_whole(folder, name, record) for name, record in finished.files.items()):
            return None
        if folder != self._building:
            for name in finished.files:
                _link(folder / name, self._building / name)
        return finished

    def put(self, finished: Finished) -> None:
        """Note a map that is ready, for a run after an interruption."""
        note = self._building / _NOTES / f"{finished.identity}.json"
        write_bytes(note, finished.model_dump_json().encode())

    def clear(self, keep: Iterable[str]) -> None:
        """Remove the notes, and every file in the folder being built that is not in ``keep``."""
        remove_folder(self._building / _NOTES)
        kept = set(keep)
        for path in sorted(self._building.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):  # not empty: it holds something kept
                    path.rmdir()
            elif path.relative_to(self._building).as_posix() not in kept:
                path.unlink()


def _of_folder(folder: Path) -> list[tuple[Path, Finished]]:
    try:
        manifest = read_manifest(folder)
    except DataError:
        return []
    found = []
    for record in manifest.maps:
        names = [name for name in (record.image, record.positions) if name]
        if all(name in manifest.files for name in names):
            image = StoredImage(record.image, record.width, record.height, record.image_tokens)
            files = {name: manifest.files[name] for name in names}
            finished = Finished(
                identity=record.identity, image=image, positions=record.positions, files=files
            )
            found.append((folder, finished))
    return found


def _of_notes(building: Path) -> list[tuple[Path, Finished]]:
    found = []
    for note in sorted((building / _NOTES).glob("*.json")):
        with contextlib.suppress(OSError, ValidationError):
            found.append((building, Finished.model_validate_json(note.read_bytes())))
    return found


def _is_whole(folder: Path, name: str, record: FileRecord) -> bool:
    try:
        return hash_file(inside(folder, name)) == record
    except (OSError, DataError):
        return False


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        unfinished = target.with_name(f".{target.name}.unfinished")
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)
