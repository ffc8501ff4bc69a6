"""Read the record of a run for reports, and check it: a record may be damaged or foreign."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import Entry, read_record
from rewardmap_verl.errors import DataError

__all__ = ["read_entries"]

_HINT: Final = "Another version of rewardmap-verl wrote it, or it is damaged; use that version."
_LARGEST: Final = 1e12
"""No step, row, time or score is larger."""


def read_entries(record: Path) -> tuple[Entry, ...]:
    """Read the entries of a record in order.

    Raises:
        DataError: There is no entry, or the file is not a record of this version.
    """
    try:
        entries = tuple(read_record(record))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise DataError(record, found=f"{type(error).__name__}: {error}", hint=_HINT) from None
    except OSError as error:
        raise DataError(record, found=error.strerror, hint="Give a readable folder.") from None
    for entry in entries:
        if not _is_entry(entry):
            raise DataError(record, found=entry, hint=_HINT)
    return entries


def _is_entry(entry: Entry) -> bool:
    numbers = _is_number(entry.step) and _is_number(entry.time)
    return entry.part in ("train", "val") and numbers and all(map(_is_group, entry.groups))


def _is_group(group: Group) -> bool:
    names = (group.stage, group.kind, *group.scores)
    scores = [score for several in group.scores.values() for score in several]
    return (
        all(isinstance(name, str) for name in names)
        and _is_number(group.row)
        and all(score is None or _is_number(score) for score in scores)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) <= _LARGEST
