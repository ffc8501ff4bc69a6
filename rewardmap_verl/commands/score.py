"""``rewardmap score``: the reward of saved answers."""

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
    rows: Annotated[Path, typer.Argument(help="JSON lines: a question and a response in each.")],
    networks: NetworksOption,
    output: Annotated[
        Path | None, typer.Option(help="File to write; the screen when left out.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Stop at the first fault of the data.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Score saved answers.

    A row has `city, country, type, station_1, station_2, answer, question_transfer_count,
    difficulty_city, response`, and an `id` if you like; a line of a rollout dump does as well. One
    line is written for each, in order: `id, score, acc, format, correctness, detail, weight,
    error`. A fault of the data is told in `error`, and the rest goes on.

    Try it: **rewardmap score --networks data/networks answers.jsonl --output scored.jsonl**
    """
    from rewardmap_verl.commands.reward_options import load_settings

    faults = 0
    try:
        settings = load_settings(config, set_)
        shelf = NetworkFolder(networks)
        lines = read_json_lines(rows)
        with _whole_file(output) as file:
            for line in lines:
                record, fault = score_line(line, shelf, settings)
                if fault is not None and strict:
                    raise fault
                faults += fault is not None
                file.write(_json_line(record))
    except (DataError, ConfigError) as error:
        fail(error)
    if faults:
        typer.secho(f"{faults} rows could not be scored; see their error.", err=True, fg="yellow")


def score_line(
    line: JsonLine, networks: NetworkFolder, config: RewardConfig
) -> tuple[dict[str, Any], DataError | None]:
    """Return what is written for a line, and the fault of its data if there is one."""
    empty = {"id": line.id, **dict.fromkeys(KEYS)}
    try:
        row = read_row(line, networks)
        if row.response is MISSING:
            hint = 'Give the model\'s answer as "response".'
            raise DataError(row.truth.place(row.where), "response", "nothing", hint)
        parts = score_answer(row.response, row.truth, row.network, config).as_dict()
    except DataError as fault:
        return {**empty, "error": str(fault)}, fault
    return {"id": line.id, **{key: parts[key] for key in KEYS}, "error": None}, None


def _json_line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes JSON's own escape


@contextmanager
def _whole_file(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file that is there only when everything was written; the screen for ``None``."""
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
        raise DataError(
            path, found=error.strerror, hint="Give a file that can be written."
        ) from None
    finally:
        part.unlink(missing_ok=True)
