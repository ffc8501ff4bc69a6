"""What a position in the training order depends on, kept in the checkpoint and compared on resume.

verl saves how many rows were read and goes on from there. That number means nothing once the order
behind it has changed, so the dataset hands the dataloader a fingerprint of all that the order is
made of. It travels in ``global_step_N/data.pt`` (torchdata keeps a map-style dataset's
``state_dict`` there) and comes back when the run is resumed.
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
    """Everything that decides which row is trained when."""
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
    """Stop a resume whose rows would not be those of the run that it continues.

    Raises:
        ConfigError: Lists what changed, from what to what.
    """
    changes = list(differences(saved, current))
    if changes:
        raise ConfigError(
            "The checkpoint was written by a run with another training order. Changed since:\n"
            + "\n".join(f"  - {change}" for change in changes)
            + "\nIts position would point at other rows",
            hint="Set these back to resume, or begin a new run with trainer.resume_mode=disable "
            "or another trainer.default_local_dir.",
        )


def differences(saved: Any, current: Any, path: str = "") -> Iterator[str]:
    """One line for each value that is not the same on both sides."""
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
