"""The note beside a run's record: the whole configuration that it was started with.

It is YAML that ``rewardmap explain --config`` and ``rewardmap report`` read, so that saved answers
are explained with the numbers that they were scored with.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rewardmap_verl.config_blocks import root_of

__all__ = ["METADATA_NAME", "METADATA_VERSION", "write_run_metadata"]

METADATA_NAME = "rewardmap_run.yaml"
"""Name of the note; it lies beside the record."""

METADATA_VERSION = 1


def write_run_metadata(folder: Path, node: Any) -> None:
    """Write the configuration that a node belongs to; nothing for a node that stands alone.

    A run that is resumed writes it anew: its later steps had the newer settings.
    """
    root = root_of(node)
    if root is None:
        return
    try:
        config: Any = OmegaConf.to_container(root, resolve=True)
    except OmegaConfBaseException:  # a note is not worth a run: keep references as they are
        config = OmegaConf.to_container(root, resolve=False)
    about = {"format": METADATA_VERSION, "rewardmap_verl": version("rewardmap-verl")}
    note = {"rewardmap_run": {**about, "verl": version("verl")}, **config}
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".{METADATA_NAME}.{os.getpid()}"
    staging.write_text(yaml.safe_dump(note, allow_unicode=True, sort_keys=False), encoding="utf-8")
    staging.replace(folder / METADATA_NAME)
