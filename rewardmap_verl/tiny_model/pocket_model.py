"""The pretrained embedded model that this package contains, and its record."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder

__all__ = ["RECORD", "copy_pocket_model", "read_record", "weights_digest"]

RECORD: Final = "pretraining.json"
"""Settings, loss curves and held-out results of a pretraining, in the model folder."""

_PACKAGED: Final = files("rewardmap_verl.tiny_model").joinpath("pocket")


def copy_pocket_model(output: Path) -> Path:
    """Copy the pretrained model to a folder that does not exist yet, and return it.

    Raises:
        ConfigError: ``output`` exists.
        DataError: The folder cannot be written.
    """
    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or choose another one.")
    with (
        as_file(_PACKAGED) as packaged,
        disk_errors(output),
        staging_folder(output, "config.json") as staging,
    ):
        shutil.copytree(packaged, staging, dirs_exist_ok=True)
    return output


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of a pretrained model folder."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_text())
    return record


def weights_digest() -> str:
    """Return the SHA-256 of the packaged weights, to tell versions of the model apart."""
    return hashlib.sha256(_PACKAGED.joinpath("model.safetensors").read_bytes()).hexdigest()
