"""``rewardmap score``: compute the reward of saved answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.commands.reward_options import ConfigOption, NetworksOption, SetOption
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.rows import MISSING, JsonLine, NetworkFolder, read_json_lines, read_row
from rewardmap_verl.rewards.score import score_answer

__all__ = ["score", "score_line"]

KEYS: Final = ("score", "acc", "format", "correctness", "detail", "weight")


def score(
    rows: Annotated[
        Path, typer.Argument(help="JSON Lines file with a question and a response per line.")
    ],
    networks: NetworksOption,
    output: Annotated[
        Path | None, typer.Option(help="Output file. Defaults to standard output.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Stop at the first invalid row.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Score saved answers.

    Each row has `city, country, type, station_1, station_2, answer, question_transfer_count,
    difficulty_city, response` and optionally `id`; lines of a rollout dump are accepted as well.
    One line is written per row, in order: `id, score, acc, format, correctness, detail, weight,
    error`. If a row is invalid, `error` gives the reason and the remaining rows are still scored.

    Example: **rewardmap score --networks data/networks answers.jsonl --output scored.jsonl**
    """
    from rewardmap_verl.commands.reward_options import load_settings

    faults = 0
    try:
        settings = load_settings(config, set_)
        folder = NetworkFolder(networks)
        lines = read_json_lines(rows)
        with _atomic_output(output) as file:
            for line in lines:
                record, fault = score_line(line, folder, settings)
                if fault is not None and strict:
                    raise fault
                faults += fault is not None
                file.write(_json_line(record))
    except (DataError, ConfigError) as error:
        fail(error)
    if faults:
        typer.secho(
            f"{faults} rows could not be scored; see their error field.", err=True, fg="yellow"
        )


def score_line(
    line: JsonLine, networks: NetworkFolder, config: RewardConfig
) -> tuple[dict[str, Any], DataError | None]:
    """Return the output record of a line, and the error if the line is invalid."""
    empty = {"id": line.id, **dict.fromkeys(KEYS)}
    try:
        row = read_row(line, networks)
        if row.response is MISSING:
            hint = 'Add the model\'s answer as "response".'
            raise DataError(row.truth.place(row.where), "response", "nothing", hint)
        parts = score_answer(row.response, row.truth, row.network, config).as_dict()
    except DataError as fault:
        return {**empty, "error": str(fault)}, fault
    return {"id": line.id, **{key: parts[key] for key in KEYS}, "error": None}, None


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
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except OSError as error:
        raise DataError(path, found=error.strerror, hint="Give a writable file.") from None
    finally:
        part.unlink(missing_ok=True)
