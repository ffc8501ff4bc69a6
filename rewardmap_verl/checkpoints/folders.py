"""Find the complete checkpoints of a run.

verl 0.9.1 records a checkpoint as the latest (``latest_checkpointed_iteration.txt``) after writing
it, so a run that is killed while saving resumes from the checkpoint before. A crash of the machine
or a full disk can still leave the tracker file empty or files of the checkpoint truncated. verl
then fails on every attempt, after it has loaded the model.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from rewardmap_verl.inputs.parsing import parse_json

__all__ = [
    "TRACKER",
    "find_damage",
    "latest_step",
    "newest_complete_step",
    "saved_steps",
    "set_latest_step",
]

TRACKER = "latest_checkpointed_iteration.txt"
_SHARD = re.compile(r"(?P<kind>\w+)_world_size_(?P<size>\d+)_rank_(?P<rank>\d+)\.pt")


def find_damage(step: Path) -> str:
    """Return what is wrong with the checkpoint ``global_step_N``; empty if it is complete.

    torch writes zip archives, whose directory is at the end of the file. A readable directory
    means that the file is complete.
    """
    if not step.is_dir():
        return "it is missing"
    truncated = [path for path in _archives(step) if not _is_archive(path)]
    if truncated:
        return f"{truncated[0].relative_to(step)} is truncated"
    return _missing(step / "actor") if (step / "actor").is_dir() else "actor is missing"


def latest_step(root: Path) -> int | None:
    """Return the step that verl resumes from; ``None`` if the tracker file has none."""
    try:
        return int((root / TRACKER).read_text())
    except (OSError, ValueError):
        return None


def saved_steps(root: Path) -> list[int]:
    """Return the steps with a folder ``global_step_N``, newest first."""
    names = (path.name.removeprefix("global_step_") for path in root.glob("global_step_*"))
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def newest_complete_step(root: Path) -> int | None:
    """Return the latest step with a complete checkpoint and a data position; ``None`` if none."""
    complete = (
        step
        for step in saved_steps(root)
        if (root / f"global_step_{step}" / "data.pt").is_file()
        and not find_damage(root / f"global_step_{step}")
    )
    return next(complete, None)


def set_latest_step(root: Path, step: int) -> None:
    """Make verl resume from a step, by replacing the tracker file atomically."""
    new = root / f".{TRACKER}.new"
    new.write_text(str(step))
    new.replace(root / TRACKER)


def _is_archive(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # the table of contents claims several disks
        return False


def _archives(step: Path) -> list[Path]:
    return sorted(path for path in (step / "data.pt", *step.glob("actor/*.pt")) if path.exists())


def _missing(actor: Path) -> str:
    """Report a missing shard; each kind has one file per rank."""
    try:
        size = int(parse_json((actor / "fsdp_config.json").read_bytes())["world_size"])
    except FileNotFoundError:
        return ""  # written by another engine
    except (ValueError, KeyError, OverflowError, TypeError):
        return "actor/fsdp_config.json is truncated"
    found = [match for path in actor.glob("*.pt") if (match := _SHARD.fullmatch(path.name))]
    names = {match.string for match in found}
    kinds = sorted({match["kind"] for match in found} | {"model"})
    wanted = (f"{kind}_world_size_{size}_rank_{rank}.pt" for kind in kinds for rank in range(size))
    missing = [name for name in wanted if name not in names]
    return f"actor/{missing[0]} is missing" if missing else ""
