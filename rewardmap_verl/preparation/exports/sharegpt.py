"""Export as ShareGPT JSON for LLaMA-Factory, with its ``dataset_info.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.records import (
    PreparedQuestion,
    link_images,
    read_prepared_questions,
)

__all__ = ["export_sharegpt"]


def export_sharegpt(folder: Path, manifest: Manifest, target: Path) -> list[Path]:
    """Write ``rewardmap_<split>.json``, ``dataset_info.json`` and the images.

    Set LLaMA-Factory's ``dataset_dir`` to ``target``; image paths are relative to it.

    Returns:
        The files with conversations.
    """
    link_images(folder, target, manifest.maps)
    files = []
    for split in manifest.rows:
        conversations = [_conversation(one) for one in read_prepared_questions(folder, split)]
        files.append(target / f"rewardmap_{split}.json")
        _write(files[-1], conversations)
    _write(target / "dataset_info.json", {file.stem: _entry(file.name) for file in files})
    return files


def _conversation(record: PreparedQuestion) -> dict[str, Any]:
    return {
        "conversations": [
            {"from": "human", "value": record.prompt},
            {"from": "gpt", "value": record.answer},
        ],
        "images": [record.image],
    }


def _entry(name: str) -> dict[str, Any]:
    return {
        "file_name": name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "images": "images"},
    }


def _write(path: Path, value: object) -> None:
    write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())
