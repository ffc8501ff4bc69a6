"""The fingerprint of a prepared folder: equal fingerprints mean equal bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import Manifest, differences, hash_file, read_manifest
from rewardmap_verl.preparation.map_cache import code_hash
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.base import City, Contents
from rewardmap_verl.transit.reader import network_to_json

__all__ = ["fingerprint", "package_versions", "up_to_date"]

_PACKAGES: Final = ("pillow", "pyarrow", "rewardmap-verl")
_ROOMS: Final = ("transit", "drawing", "questions", "rewards", "preparation")
_TOKENIZER_FILES: Final = ("tokenizer*", "vocab*", "merges*", "chat_template*", "special_tokens*")


def fingerprint(settings: PrepareSettings, contents: Contents) -> str:
    """Return a hash of everything that decides the bytes of the folder."""
    tokenizer = [] if settings.tokenizer is None else sorted(_tokenizer_hashes(settings.tokenizer))
    parts = [
        settings.content_settings(),
        dict(contents.inputs),
        [_city_hash(city) for city in contents.cities],
        tokenizer,
        package_versions(),
        code_hash(*_ROOMS),
    ]
    if settings.keep_originals:
        parts.append(version("pyvips-binary"))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _city_hash(city: City) -> str:
    questions = None if city.questions is None else [(s, asdict(q)) for s, q in city.questions]
    network = network_to_json(city.network)
    content = [city.key, city.difficulty, city.splits, city.picture.identity(), network, questions]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _tokenizer_hashes(folder: Path) -> Iterator[tuple[str, str]]:
    for pattern in _TOKENIZER_FILES:
        for path in folder.glob(pattern):
            if path.is_file():
                yield path.name, hash_file(path).sha256


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that influence the bytes of a prepared folder."""
    return {name: version(name) for name in _PACKAGES}


def up_to_date(folder: Path, expected: str) -> Manifest | None:
    """Return the manifest of a complete folder with this fingerprint; None otherwise."""
    try:
        manifest = read_manifest(folder)
    except DataError:
        return None
    same = manifest.fingerprint == expected and not any(differences(manifest, folder))
    return manifest if same else None
