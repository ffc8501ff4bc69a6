"""Saved answers and their questions, from the files that others write.

Three kinds of file are read: JSON lines with a question and a response in each (the golden cases,
ReasonMap's rows, and what ``trainer.rollout_data_dir`` dumps), and the parquet files that
``rewardmap prepare`` wrote, which have questions only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

__all__ = [
    "JsonLine",
    "NetworkFolder",
    "QuestionRow",
    "read_json_lines",
    "read_prepared",
    "read_row",
]

MISSING: Final = object()
"""Stands for a response that a row does not have."""

_LONGEST_LINE: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One question, and the response to it if there is one."""

    where: str
    """What to call it in a message."""
    truth: GroundTruth
    network: Network
    response: object
    """Whatever the file holds: text, ``null``, a number; ``MISSING`` when it holds nothing."""
    prompt: str
    """The text of the question, if the file has it."""


@dataclass(frozen=True, slots=True)
class JsonLine:
    """One line of a file of JSON lines."""

    number: int
    """From 1."""
    values: object
    """What was decoded; ``None`` beside a fault."""
    fault: DataError | None

    @property
    def id(self) -> object:
        """The row's own name, if it has one."""
        return self.values.get("id") if isinstance(self.values, Mapping) else None


@dataclass(slots=True)
class NetworkFolder:
    """The networks of a folder ``<country>/<city>.json``, each read once."""

    folder: Path
    _read: dict[tuple[str, str], Network | DataError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look whether the folder is there.

        Raises:
            DataError: It is not.
        """
        if not self.folder.is_dir():
            raise DataError(
                self.folder, hint="There is no such folder; give one with <country>/<city>.json."
            )

    def get(self, truth: GroundTruth, where: str) -> Network:
        """Return the network of a question's city.

        Raises:
            DataError: Its file is missing or cannot be read.
        """
        key = truth.country, truth.city
        if key not in self._read:
            self._read[key] = self._load(truth, where)
        found = self._read[key]
        if isinstance(found, DataError):
            raise DataError(truth.place(where), found.field, found.found, found.hint)
        return found

    def _load(self, truth: GroundTruth, where: str) -> Network | DataError:
        path = self.folder / truth.country / f"{truth.city}.json"
        if not path.is_file():
            hint = f"The folder of networks has no {truth.country}/{truth.city}.json."
            return DataError(truth.place(where), "city", truth.city, hint)
        try:
            return read_network(path)
        except DataError as error:
            return DataError(truth.place(where), "city", truth.city, f"Its network: {error}")


def read_json_lines(path: Path) -> Iterator[JsonLine]:
    """Return the lines of a file one by one; an empty line is none, a broken one has a fault.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(path, found=error.strerror, hint="Give a readable file.") from None
    return _decoded(file)


def _decoded(file: BinaryIO) -> Iterator[JsonLine]:
    with file:
        for number, raw in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), 1):
            if raw.strip():
                yield _decode(raw, number)


def _decode(raw: bytes, number: int) -> JsonLine:
    try:
        return JsonLine(number, json.loads(raw.decode("utf-8-sig")), None)
    except UnicodeDecodeError as error:
        reason = f"It is not UTF-8 (byte {error.start})."
    except (ValueError, RecursionError) as error:
        reason = f"It is not JSON ({error})."
    return JsonLine(number, None, DataError(f"line {number}", hint=reason))


def read_row(line: JsonLine, networks: NetworkFolder) -> QuestionRow:
    """Read a question and its response.

    Raises:
        DataError: Naming city, row and field.
    """
    if line.fault is not None:
        raise line.fault
    where = f"line {line.number}" if line.id is None else f"line {line.number}, id {line.id}"
    values = line.values
    if not isinstance(values, Mapping):
        raise DataError(where, found=values, hint="A row is an object with fields.")
    dumped = "gts" in values
    truth = (
        GroundTruth.from_json(values["gts"], where)
        if dumped
        else GroundTruth.from_row(values, where)
    )
    network = networks.get(truth, where)
    check_against_network(truth, network, where)
    prompt = values.get("input" if dumped else "question")
    return QuestionRow(
        where,
        truth,
        network,
        values.get("output" if dumped else "response", MISSING),
        prompt if isinstance(prompt, str) else "",
    )


def read_prepared(folder: Path) -> Iterator[QuestionRow]:
    """Yield the questions of a prepared folder: ``*.parquet`` beside ``networks/``.

    Raises:
        DataError: The folder is not one that ``rewardmap prepare`` wrote.
    """
    import pyarrow.parquet as parquet  # here, for only this needs it and it takes a second

    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise DataError(folder, hint="It holds no parquet file; write one with rewardmap prepare.")
    networks = NetworkFolder(folder / "networks")
    for file in files:
        table = parquet.read_table(file, columns=["prompt", "reward_model"])
        for number, values in enumerate(table.to_pylist()):
            where = f"{file.name}, row {number}"
            truth = GroundTruth.from_json(values["reward_model"]["ground_truth"], where)
            network = networks.get(truth, where)
            check_against_network(truth, network, where)
            yield QuestionRow(where, truth, network, MISSING, _prompt_text(values["prompt"]))


def _prompt_text(messages: list[dict[str, Any]]) -> str:
    return "\n".join(str(message["content"]) for message in messages)
