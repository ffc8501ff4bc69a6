"""Read questions and saved answers from files.

Supported are JSON Lines with a question and a response per line (golden cases, ReasonMap's rows,
rollout dumps of ``trainer.rollout_data_dir``, and what ``rewardmap score`` writes, which extends
the lines of a dump) and the parquet files of ``rewardmap prepare``, which contain questions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_regular
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.rewards.response_text import last_turn
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

__all__ = [
    "JsonLine",
    "NetworkFolder",
    "QuestionRow",
    "dumped_part",
    "read_json_lines",
    "read_prepared",
    "read_row",
]

MISSING: Final = object()
"""Sentinel for a row without a response."""

_LONGEST_LINE: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One question with its response, if any."""

    where: str
    """Location for error messages."""
    truth: GroundTruth
    network: Network
    response: object
    """Any JSON value, or ``MISSING`` if the row has no response."""
    prompt: str
    """Text of the question; "" if the file does not have it."""
    trajectory: object = None
    """All turns of a dumped response, of which ``response`` is the last."""


@dataclass(frozen=True, slots=True)
class JsonLine:
    """One line of a JSON Lines file."""

    number: int
    """1-based line number."""
    values: object
    """The decoded value; ``None`` if decoding failed."""
    fault: DataError | None
    """Why the line has no question or response: it is not JSON, or it could not be scored."""

    @property
    def id(self) -> object:
        """The row's ``id``, if it has one."""
        return self.values.get("id") if isinstance(self.values, Mapping) else None


@dataclass(slots=True)
class NetworkFolder:
    """Networks of a folder ``<country>/<city>.json``, each read once."""

    folder: Path
    _read: dict[tuple[str, str], Network | DataError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the folder exists.

        Raises:
            DataError: The folder does not exist.
        """
        if not self.folder.is_dir():
            raise DataError(
                self.folder,
                hint="The folder does not exist; give one with <country>/<city>.json files.",
            )

    def get(self, truth: GroundTruth, where: str) -> Network:
        """Return the network of a question's city.

        Raises:
            DataError: The file is missing or invalid.
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
            hint = f"The networks folder has no {truth.country}/{truth.city}.json."
            return DataError(truth.place(where), "city", truth.city, hint)
        try:
            return read_network(path)
        except DataError as error:
            return DataError(
                truth.place(where), "city", truth.city, f"The city's network is invalid: {error}"
            )


def read_json_lines(path: Path) -> Iterator[JsonLine]:
    """Iterate over the lines of a file; empty lines are skipped, invalid ones have a ``fault``.

    Raises:
        DataError: The file cannot be read.
    """
    check_regular(path)
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
        values = parse_json(raw.decode("utf-8-sig"))
        return JsonLine(number, values, _unscored(values, number))
    except UnicodeDecodeError as error:
        reason = f"The line is not UTF-8 (byte {error.start})."
    except ValueError as error:
        reason = f"The line is not JSON ({error})."
    return JsonLine(number, None, DataError(f"line {number}", hint=reason))


def _unscored(values: object, number: int) -> DataError | None:
    """Return why ``rewardmap score`` could not score a row; ``None`` for any other line."""
    if not isinstance(values, Mapping) or values.get("gts", "") is not None:
        return None
    if not isinstance(error := values.get("error"), str):
        return None
    return DataError(f"line {number}", hint=f"`rewardmap score` could not score this row: {error}")


def dumped_part(values: Mapping[str, Any]) -> str:
    """Return whether a dumped answer is from training or validation: train or val.

    verl dumps the parts of a reward in validation only; ``rewardmap score`` writes them always, and
    the part with them.
    """
    if values.get("part") in ("train", "val"):
        return str(values["part"])
    return "val" if "acc" in values else "train"


def read_row(line: JsonLine, networks: NetworkFolder) -> QuestionRow:
    """Read a question and its response.

    Raises:
        DataError: The row is invalid; the error names city, row and field.
    """
    if line.fault is not None:
        raise line.fault
    where = f"line {line.number}" if line.id is None else f"line {line.number}, id {line.id}"
    values = line.values
    if not isinstance(values, Mapping):
        raise DataError(where, found=values, hint="A row must be a JSON object.")
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
        last_turn(values.get("output", MISSING)) if dumped else values.get("response", MISSING),
        prompt if isinstance(prompt, str) else "",
        values.get("output") if dumped else None,
    )


def read_prepared(folder: Path) -> Iterator[QuestionRow]:
    """Yield the questions of a prepared folder: ``*.parquet`` files next to ``networks/``.

    Raises:
        DataError: The folder was not written by ``rewardmap prepare``.
    """
    from rewardmap_verl.inputs.parquet import parquet_rows  # slow to import and only needed here

    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise DataError(
            folder, hint="The folder has no parquet file; create it with rewardmap prepare."
        )
    networks = NetworkFolder(folder / "networks")
    for file in files:
        for number, values in enumerate(parquet_rows(file, ["prompt", "reward_model"])):
            where = f"{file.name}, row {number}"
            truth = GroundTruth.from_json(values["reward_model"]["ground_truth"], where)
            network = networks.get(truth, where)
            check_against_network(truth, network, where)
            yield QuestionRow(where, truth, network, MISSING, _prompt_text(values["prompt"]))


def _prompt_text(messages: list[dict[str, Any]]) -> str:
    return "\n".join(str(message["content"]) for message in messages)
