"""Metadata of a run: its complete configuration, saved beside its record.

``rewardmap explain --config`` and ``rewardmap report`` read this YAML file, so that saved answers
are explained with the settings that scored them.
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
"""File name of the metadata, in the folder of the record."""

METADATA_VERSION = 1


def write_run_metadata(folder: Path, node: Any) -> None:
    """Write the configuration that a node belongs to, or nothing for a node without a root.

    A resumed run overwrites the file, because its later steps used the newer settings.
    """
    root = root_of(node)
    if root is None:
        return
    try:
        config: Any = OmegaConf.to_container(root, resolve=True)
    except OmegaConfBaseException:  # metadata must not stop a run: keep interpolations unresolved
        config = OmegaConf.to_container(root, resolve=False)
    about = {"format": METADATA_VERSION, "rewardmap_verl": version("rewardmap-verl")}
    metadata = {"rewardmap_run": {**about, "verl": version("verl")}, **config}
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".{METADATA_NAME}.{os.getpid()}"
    staging.write_text(
        yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    staging.replace(folder / METADATA_NAME)
