"""Fingerprint of the training order, saved in the checkpoint and compared on resume.

verl saves the number of rows read and resumes from it. That number is meaningless if the order has
changed, so the dataset saves a fingerprint of everything that defines the order. It is stored in
``global_step_N/data.pt``, where torchdata keeps the ``state_dict`` of a map-style dataset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rewardmap_verl.curriculum.config import CurriculumConfig
from rewardmap_verl.curriculum.schedule import ORDER_VERSION
from rewardmap_verl.errors import ConfigError

__all__ = ["differences", "fingerprint", "refuse_changes"]

Fingerprint = dict[str, Any]  # JSON-able: nested dicts, lists, strings, numbers


def fingerprint(
    config: CurriculumConfig, batch_size: int, files: Sequence[Path], rows: int
) -> Fingerprint:
    """Return everything that decides which row is trained at which step."""
    return {
        "order version": ORDER_VERSION,
        "data.train_batch_size": batch_size,
        "data.curriculum": config.model_dump(mode="json"),
        "data.train_files": {
            "rows": rows,
            "sha256": [_sha256(file) for file in files],
        },
    }


def refuse_changes(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Reject a resume with another training order than the checkpoint.

    Raises:
        ConfigError: Lists the changes with old and new values.
    """
    changes = list(differences(saved, current))
    if changes:
        raise ConfigError(
            "The checkpoint was written with another training order. Changed since then:\n"
            + "\n".join(f"  - {change}" for change in changes)
            + "\nIts position would refer to other rows",
            hint="Restore these settings to resume, or start a new run with "
            "trainer.resume_mode=disable or another trainer.default_local_dir.",
        )


def differences(saved: Any, current: Any, path: str = "") -> Iterator[str]:
    """Return one line per value that differs."""
    if isinstance(saved, Mapping) and isinstance(current, Mapping):
        for key in [*saved, *(key for key in current if key not in saved)]:
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(saved.get(key), current.get(key), inner)
    elif isinstance(saved, list) and isinstance(current, list) and len(saved) == len(current):
        for index, (before, after) in enumerate(zip(saved, current, strict=True)):
            yield from differences(before, after, f"{path}[{index}]")
    elif saved != current:
        yield f"{path}: {_brief(saved)} → {_brief(current)}"


def _brief(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, Mapping) for item in value) and value:
        return "[" + ", ".join(str(item.get("name", "…")) for item in value) + "]"
    return "not set" if value is None else str(value)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]
