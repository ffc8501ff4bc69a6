"""A report's folder appears whole or not at all, and replaces nothing but a report."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rewardmap_verl.errors import DataError

__all__ = ["MARK", "built_beside"]

MARK = "report.json"
"""A file that only reports have."""

_FORMAT = 1


@contextlib.contextmanager
def built_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder to build in, and move it to ``target`` when the block ends well.

    After an error what stood at ``target`` is still there, untouched.

    Raises:
        DataError: There is something else at ``target``, or it cannot be written.
    """
    _refuse_foreign(target)
    building = target.with_name(f".{target.name}.{os.getpid()}.building")
    try:
        building.mkdir(parents=True)
        yield building
        (building / MARK).write_text(json.dumps({"rewardmap_report": _FORMAT}), encoding="utf-8")
        _move(building, target)
    except OSError as error:
        where = error.filename or target
        hint = "Free some space or choose another --output."
        raise DataError(where, found=error.strerror, hint=hint) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _refuse_foreign(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        hint = "The folder is not empty and holds no report; choose another --output."
        raise DataError(target, hint=hint)
    if target.exists() and not target.is_dir():
        raise DataError(target, hint="It is a file; choose another --output.")


def _move(building: Path, target: Path) -> None:
    previous = target.with_name(f".{target.name}.{os.getpid()}.previous")
    if target.exists():
        target.rename(previous)
    try:
        building.rename(target)
    except OSError:
        if previous.exists():
            previous.rename(target)
        raise
    shutil.rmtree(previous, ignore_errors=True)
