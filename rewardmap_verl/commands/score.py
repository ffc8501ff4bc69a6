"""``rewardmap score``: compute the reward of saved answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from rewardmap_verl.commands.failure import fail, readable_errors
from rewardmap_verl.commands.reward_options import (
    ConfigOption,
    DataOption,
    NetworksOption,
    SetOption,
)
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import disk_errors, staging_file
from rewardmap_verl.rewards.benchmark import benchmark_verdict
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.response_text import response_text
from rewardmap_verl.rewards.rows import (
    MISSING,
    JsonLine,
    NetworkFolder,
    QuestionRow,
    dumped_part,
    read_json_lines,
    read_row,
)
from rewardmap_verl.rewards.score import score_answer

__all__ = ["score"]

KEYS: Final = ("score", "acc", "format", "correctness", "detail", "weight", "benchmark_acc")
_DUMP_KEYS: Final = ("input", "output", "gts")
"""Question, answer and ground truth, as in verl's dumps. With them, every command that reads dumps
reads the output."""

_NO_RUN: Final[Mapping[str, Any]] = {"step": 0, "part": "val"}
"""Step and part of answers that are not those of a run, as reports show them."""

Scored = tuple[dict[str, Any], DataError | None]
"""An output record, and the error if the row is invalid."""


def score(
    rows: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines file with a question and a response per line, a rollout dump, or a "
            "folder of `rewardmap evaluate` or of dumps."
        ),
    ],
    networks: NetworksOption = None,
    data: DataOption = None,
    output: Annotated[
        Path | None, typer.Option("--out", "-o", help="Output file [default: standard output].")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Stop at the first invalid row.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Score saved answers.

    Each row has `city, country, type, station_1, station_2, answer, question_transfer_count,
    difficulty_city, response` and optionally `id`; lines of a rollout dump are accepted as well.
    The answers that `rewardmap evaluate` writes and the dumps of a run need no `--networks`. The
    `id` of an evaluated answer is the question's row in the split.

    One line is written per row, in order: `id, score, acc, format, correctness, detail, weight,
    benchmark_acc, error`, and `step, part, input, output, gts` with question and answer as in
    verl's dumps, so that `explain`, `evaluate` and `report` read the file. `benchmark_acc` is the
    accuracy as the benchmark's own scripts read the answer. If a row is invalid, `error` gives the
    reason and the remaining rows are still scored. The exit code is 2 if no row could be scored.

    Example: **rewardmap score --networks data/networks answers.jsonl --out scored.jsonl**
    """
    from rewardmap_verl.commands.reward_options import load_settings

    with readable_errors():
        settings = load_settings(config, set_)
        with _atomic_output(output) as file:
            faults = _write(file, _scored(rows, networks, data, settings), strict)
    if not faults:
        fail(DataError(rows, hint="The file has no rows."))
    if all(fault is not None for fault in faults):
        fail(DataError(rows, hint=f"None of {len(faults)} rows could be scored: {faults[0]}"))
    if failed := sum(fault is not None for fault in faults):
        typer.secho(
            f"{failed} rows could not be scored; see their error field.", err=True, fg="yellow"
        )


def _write(file: BinaryIO, scored: Iterator[Scored], strict: bool) -> list[DataError | None]:
    """Write the records and return the error of each row, ``None`` for a valid row.

    Raises:
        DataError: A row is invalid, and ``strict`` is on.
    """
    faults = []
    for record, fault in scored:
        if fault is not None and strict:
            raise fault
        file.write(_json_line(record))
        faults.append(fault)
    return faults


def _scored(
    rows: Path, networks: Path | None, data: Path | None, config: RewardConfig
) -> Iterator[Scored]:
    """Yield the record of every row of a file.

    Raises:
        DataError: The file or its data cannot be read.
        ConfigError: The networks are needed and not given.
    """
    from rewardmap_verl.commands.reward_options import networks_of
    from rewardmap_verl.evaluation.logged_rows import is_answer_log, logged_rows
    from rewardmap_verl.evaluation.saved import find_saved

    rows = find_saved(rows)
    if is_answer_log(rows):
        for index, row in logged_rows(rows, data):
            yield _score_row(index, row, config)
        return
    folder = networks_of(rows, networks, data)
    for line in read_json_lines(rows):
        yield _score_line(line, folder, config)


def _score_line(line: JsonLine, networks: NetworkFolder, config: RewardConfig) -> Scored:
    try:
        row = read_row(line, networks)
    except DataError as fault:
        return _failed(line.id, fault)
    return _score_row(line.id, row, config, _origin(line.values))


def _origin(values: object) -> Mapping[str, Any]:
    """Return where an answer is from: step and part of its run, and its name in a dump."""
    if not isinstance(values, Mapping) or "gts" not in values:
        return _NO_RUN
    names = {"uid": values["uid"]} if "uid" in values else {}
    return {"step": values.get("step", 0), "part": dumped_part(values), **names}


def _score_row(
    id: object,
    row: QuestionRow,
    config: RewardConfig,
    origin: Mapping[str, Any] = _NO_RUN,
) -> Scored:
    try:
        if row.response is MISSING:
            hint = 'Add the model\'s answer as "response".'
            raise DataError(row.truth.place(row.where), "response", "nothing", hint)
        response = response_text(row.response, row.where)
    except DataError as fault:
        return _failed(id, fault)
    parts = score_answer(response, row.truth, row.network, config).as_dict()
    parts["benchmark_acc"] = float(benchmark_verdict(response, row.truth, row.network))
    output = row.response if row.trajectory is None else row.trajectory
    dumped = dict(zip(_DUMP_KEYS, (row.prompt, output, row.truth.to_json()), strict=True))
    scored = {key: parts[key] for key in KEYS}
    return {"id": id, **scored, "error": None, **origin, **dumped}, None


def _failed(id: object, fault: DataError) -> Scored:
    empty = dict.fromkeys(_DUMP_KEYS)
    return {"id": id, **dict.fromkeys(KEYS), "error": str(fault), **_NO_RUN, **empty}, fault


def _json_line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # lone surrogates become JSON escapes


@contextmanager
def _atomic_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file that appears only once it is complete; standard output for ``None``."""
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with disk_errors(path), staging_file(path) as part, part.open("wb") as file:
        yield file
