"""Which checkpoint of a run is whole.

verl 0.9.1 names a checkpoint as the last (``latest_checkpointed_iteration.txt``) after it is
written, so a run that is killed in the middle resumes from the one before. What that does not cover
is a machine that goes down, or a disk that is full: the name itself may be empty, and files that it
promises may be cut off. Then verl fails after it has loaded the model, on every attempt.
"""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

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
    """What is wrong with a checkpoint, a folder ``global_step_N``; empty when it is whole.

    Files that torch wrote are archives with their table of contents at the end, so a look at the
    end of each tells whether it was written to its end.
    """
    if not step.is_dir():
        return "it is not there"
    cut = [path for path in _archives(step) if not zipfile.is_zipfile(path)]
    if cut:
        return f"{cut[0].relative_to(step)} is cut off"
    return _missing(step / "actor") if (step / "actor").is_dir() else "actor is not there"


def latest_step(root: Path) -> int | None:
    """The step that verl would resume from; ``None`` where the file does not say one."""
    try:
        return int((root / TRACKER).read_text())
    except (OSError, ValueError):
        return None


def saved_steps(root: Path) -> list[int]:
    """The steps that have a folder ``global_step_N``, the newest first."""
    names = (path.name.removeprefix("global_step_") for path in root.glob("global_step_*"))
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def newest_complete_step(root: Path) -> int | None:
    """The last step of a run whose checkpoint is whole and has a position; ``None`` without one."""
    whole = (
        step
        for step in saved_steps(root)
        if (root / f"global_step_{step}" / "data.pt").is_file()
        and not find_damage(root / f"global_step_{step}")
    )
    return next(whole, None)


def set_latest_step(root: Path, step: int) -> None:
    """Make verl resume from a step; the file that says so changes at once or not at all."""
    new = root / f".{TRACKER}.new"
    new.write_text(str(step))
    new.replace(root / TRACKER)


def _archives(step: Path) -> list[Path]:
    return sorted(path for path in (step / "data.pt", *step.glob("actor/*.pt")) if path.exists())


def _missing(actor: Path) -> str:
    """A shard that is not there: of each kind there is one for every rank."""
    try:
        size = int(json.loads((actor / "fsdp_config.json").read_text())["world_size"])
    except FileNotFoundError:
        return ""  # another engine's
    except (ValueError, KeyError):
        return "actor/fsdp_config.json is cut off"
    found = [match for path in actor.glob("*.pt") if (match := _SHARD.fullmatch(path.name))]
    names = {match.string for match in found}
    kinds = sorted({match["kind"] for match in found} | {"model"})
    wanted = (f"{kind}_world_size_{size}_rank_{rank}.pt" for kind in kinds for rank in range(size))
    missing = [name for name in wanted if name not in names]
    return f"actor/{missing[0]} is not there" if missing else ""
