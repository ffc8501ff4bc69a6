"""Record of a run: one line of JSON per training step and per validation batch.

KL and entropy of a step's answers are computed after its line is written. They have a line of their
own (``"part": "policy"``), and readers add them to the scores of the step.

verl's ``file`` logger has two limits: it truncates its file when a run is resumed, and it stores
only means. The record keeps the row and the scores of every group, so that metrics over any range
of steps are exact and two runs can be compared row by row::

    {"part": "train", "step": 3, "time": 1767225600.0, "groups": [{"stage": "counting",
     "type": "Counting2", "row": 17, "slot": 9, "epoch": 0, "repeat": false,
     "scores": {"score": [0.0, 11.0], …}}, …]}
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parsing import parse_json

__all__ = [
    "RECORD_NAME",
    "Entry",
    "RecordWriter",
    "parse_entry",
    "read_record",
    "rows_by_step",
    "stream_record",
]

RECORD_NAME = "rewardmap_record.jsonl"
"""File name of the record in the checkpoint folder of a run."""

Part = Literal["train", "val"]

_LARGEST = 10**12
_Count = Annotated[int, Field(ge=0, le=_LARGEST)]
_Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]


@dataclass(frozen=True, slots=True)
class Entry:
    """Scores of one training step, or of one validation batch after ``step`` steps."""

    part: Part | Literal["policy"]
    step: int
    time: float  # time at which all rollouts were finished, in seconds since 1970
    groups: tuple[Group, ...]


class RecordWriter:
    """Writer that appends to a record and drops later steps if a run returns to an earlier one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._newest = max(
            (entry["step"] for _, entry in _lines(path) if entry["part"] == "train"), default=0
        )
        if _ends_partially(path):
            self._keep_before(None)

    def write(self, part: Part, step: int, groups: Sequence[Group]) -> None:
        """Append an entry. An interrupted write leaves a partial last line, which readers skip."""
        if part == "train":
            if step <= self._newest:
                self._keep_before(step)
            self._newest = step
        self._append(part, step, groups)

    def write_policy(self, step: int, groups: Sequence[Group]) -> None:
        """Append KL and entropy of the answers of a step, in groups like those of the step."""
        self._append("policy", step, groups)

    def _append(self, part: str, step: int, groups: Sequence[Group]) -> None:
        entry = {
            "part": part,
            "step": step,
            "time": round(time.time(), 3),
            "groups": [group.as_json() for group in groups],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def _keep_before(self, step: int | None) -> None:
        """Remove the entries from ``step`` on, and a partial line of an interrupted write."""
        kept = [line for line, entry in _lines(self.path) if step is None or entry["step"] < step]
        staging = self.path.with_suffix(".tmp")
        staging.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        staging.replace(self.path)


def read_record(path: Path) -> list[Entry]:
    """Read all entries of a record in the order of writing.

    Raises:
        DataError: The record is missing or empty, or has an entry of another format.
    """
    found = [_entry(data, path) for _, data in _lines(path)]
    added = {entry.step: entry.groups for entry in found if entry.part == "policy"}
    entries = [_with_policy(entry, added) for entry in found if entry.part != "policy"]
    if not entries:
        raise DataError(
            path,
            hint="No step of this run has been recorded. A run records its steps if "
            "trainer.v1.sampler.custom_sampler is RewardMapReplayBuffer.",
        )
    return entries


def stream_record(path: Path) -> Iterator[Entry]:
    """Yield the entries of a record one by one, without KL and entropy; none without a file.

    Raises:
        DataError: An entry has another format.
    """
    for _, data in _lines(path):
        if data.get("part") != "policy":
            yield _entry(data, path)


def parse_entry(line: str, path: Path) -> Entry | None:
    """Parse one line of the record at ``path``; ``None`` for a partial line, or KL and entropy.

    Raises:
        DataError: The entry has another format.
    """
    try:
        data = parse_json(line)
    except ValueError:
        return None
    entry = _entry(data, path)
    return None if entry.part == "policy" else entry


def _with_policy(entry: Entry, added: Mapping[int, Sequence[Group]]) -> Entry:
    """Return an entry with the scores of its step that were recorded later."""
    if entry.part != "train" or entry.step not in added:
        return entry
    later = {group.slot: group.scores for group in added[entry.step]}
    groups = tuple(
        replace(group, scores={**group.scores, **later.get(group.slot, {})})
        for group in entry.groups
    )
    return replace(entry, groups=groups)


def rows_by_step(entries: Iterable[Entry]) -> dict[int, list[int]]:
    """Return the row numbers that each training step trained, in order.

    Compare them with another run, or with the plan:
    ``Schedule.rows_by_step``.
    """
    return {
        entry.step: [group.row for group in entry.groups]
        for entry in entries
        if entry.part == "train"
    }


class _GroupFormat(BaseModel):
    """Types of ``Group.as_json``."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    stage: str
    type: str
    row: _Count
    slot: _Count
    epoch: _Count
    repeat: bool
    scores: dict[str, list[_Number | None]]
    replay: bool = False
    place: str = ""
    transfers: _Count | None = None


class _EntryFormat(BaseModel):
    """Types of a line of the record."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    part: Part | Literal["policy"]
    step: _Count
    time: _Number
    groups: list[_GroupFormat]


def _entry(data: object, path: Path) -> Entry:
    try:
        found = _EntryFormat.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        hint = f"{first['msg']}. Another version of rewardmap-verl may have written it."
        raise DataError(path, field, first["input"], hint) from None
    groups = tuple(Group.from_json(group.model_dump()) for group in found.groups)
    return Entry(found.part, found.step, found.time, groups)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield complete lines with their content; skip a partial line."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield line.rstrip("\n"), parse_json(line)
            except ValueError:
                continue


def _ends_partially(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n")
