"""Answers that were saved before, from the files that hold them.

=================  ========================================================================
file               written by
=================  ========================================================================
``*.jsonl``        ``rewardmap evaluate`` (a header, then one answer a line)
``<step>.jsonl``   verl, into ``trainer.validation_data_dir``
``*.jsonl``        anybody: objects with ``index`` or ``key``, and ``response``
``*.xlsx`` …       VLMEvalKit (xlsx, tsv, json, csv): ``index``, ``question``, ``prediction``
=================  ========================================================================

A row only says which question it means; :mod:`rewardmap_verl.evaluation.gather` finds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import HEADER, check_version
from rewardmap_verl.evaluation.verdicts import Answer
from rewardmap_verl.rewards.rows import read_json_lines

__all__ = ["SavedAnswers", "SavedRow", "find_saved", "read_saved"]

_FACTS: Final = ("country", "city", "type", "station_1", "station_2")
_TABLES: Final = (".xlsx", ".tsv", ".csv", ".json")
_RESPONSES: Final = ("response", "prediction", "output", "answer_text")
VLMEVALKIT_SET: Final = "ReasonMap-Plus"
"""VLMEvalKit's name of the data set, which ends the names of its files."""


@dataclass(frozen=True, slots=True)
class SavedRow:
    """One answer and what the file says about its question; ``None`` where it says nothing."""

    where: str
    answer: Answer
    key: str | None = None
    index: int | None = None
    gold: str | None = None
    """verl's ``gts``."""
    question: str | None = None
    """The text of the question, or verl's ``input``, which contains it."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Fields of the question that the row repeats."""
    rollout: str = ""
    """Rows of one question with different rollouts are several answers, not one answer twice."""


@dataclass(frozen=True, slots=True)
class SavedAnswers:
    """Everything that a file holds."""

    path: Path
    format: str
    """In words, for the report."""
    rows: tuple[SavedRow, ...]
    fingerprint: str = ""
    """Of the questions that were answered; "" when the file does not say."""
    model: str = ""
    broken: tuple[DataError, ...] = ()
    """Lines that could not be read."""


def find_saved(path: Path) -> Path:
    """Return the file that is meant by a file or folder.

    A folder of verl's dumps means its newest step, a folder of VLMEvalKit's the file of
    ReasonMap-Plus.

    Raises:
        DataError: Nothing is there that holds answers.
    """
    if path.is_file():
        return path
    dumps = [p for p in path.glob("*.jsonl") if p.stem.isdecimal()] if path.is_dir() else []
    if dumps:
        return max(dumps, key=lambda p: int(p.stem))
    tables = [p for suffix in _TABLES for p in path.rglob(f"*_{VLMEVALKIT_SET}{suffix}")]
    if tables:
        return max(tables, key=lambda p: p.stat().st_mtime)
    found = f"{len(list(path.iterdir()))} other files" if path.is_dir() else "nothing"
    raise DataError(
        path,
        found=found,
        hint="Give a file of answers, a folder of verl's validation dumps (<step>.jsonl), a folder "
        f"of VLMEvalKit with *_{VLMEVALKIT_SET}.xlsx, or the folder of a model.",
    )


def read_saved(path: Path) -> SavedAnswers:
    """Read a file of answers of any of the formats.

    Raises:
        DataError: It cannot be read, is of another version, or holds no answer.
    """
    path = find_saved(path)
    if path.suffix == ".jsonl":
        saved = _read_lines(path)
    elif path.suffix in _TABLES:
        saved = _read_table(path)
    else:
        raise DataError(path, found=path.suffix, hint="Known are .jsonl, .xlsx, .tsv, .csv, .json.")
    if not saved.rows:
        hint = "It holds no answer."
        if saved.broken:
            hint += f" The first of {len(saved.broken)} broken lines: {saved.broken[0]}"
        raise DataError(path, hint=hint)
    return saved


def _read_lines(path: Path) -> SavedAnswers:
    header: Mapping[str, Any] = {}
    rows: list[SavedRow] = []
    broken: list[DataError] = []
    names: set[str] = set()
    for line in read_json_lines(path):
        where = f"{path}, line {line.number}"
        if line.fault is not None or not isinstance(line.values, Mapping):
            hint = line.fault.hint if line.fault else "A row is an object with fields."
            broken.append(DataError(where, hint=hint))
        elif HEADER in line.values:
            header = line.values
            check_version(header, path)
        else:
            dumped = "gts" in line.values
            names.add("verl's dump" if dumped else "JSON lines")
            rows.append(_dumped(line.values, where) if dumped else _plain(line.values, where))
    format = "rewardmap's answers" if header else " and ".join(sorted(names))
    if names == {"verl's dump"}:
        rows = _last_outputs(rows)
    model = header.get("model")
    return SavedAnswers(
        path,
        format,
        tuple(rows),
        str(header.get("questions", "")),
        str(model.get("name", "")) if isinstance(model, Mapping) else "",
        tuple(broken),
    )


def _plain(values: Mapping[str, Any], where: str) -> SavedRow:
    """Read a row of ours, or anybody's."""
    name = next((n for n in _RESPONSES if n in values), None)
    if name is None:
        hint = 'Give the model\'s answer as "response"; null for a model that failed.'
        raise DataError(where, "response", f"the fields {', '.join(map(str, values))}", hint)
    tokens = values.get("tokens")
    return SavedRow(
        where,
        Answer(
            values[name],
            tokens if isinstance(tokens, int) else None,
            cut=values.get("finish") == "length",
        ),
        key=_text(values.get("key")),
        index=_whole(values.get("index"), where),
        question=_text(values.get("question")),
        facts={k: values[k] for k in _FACTS if isinstance(values.get(k), str)},
        rollout=str(values.get("rollout", "")),
    )


def _dumped(values: Mapping[str, Any], where: str) -> SavedRow:
    if not isinstance(values.get("gts"), str):
        hint = "verl writes the gold answer here; the dump is of data that were not prepared here."
        raise DataError(where, "gts", values.get("gts"), hint)
    return SavedRow(
        where,
        Answer(values.get("output")),
        gold=values["gts"],
        question=_text(values.get("input")),
        rollout=str(values.get("uid", where)),
    )


def _last_outputs(rows: list[SavedRow]) -> list[SavedRow]:
    """Keep the last output of each rollout, the one that verl judges; their names are
    ``<uid>_<rollout>_<output>``."""
    last: dict[str, tuple[int, SavedRow]] = {}
    for row in rows:
        rollout, _, output = row.rollout.rpartition("_")
        name, number = (rollout, int(output)) if output.isdecimal() else (row.rollout, 0)
        if name not in last or number >= last[name][0]:
            last[name] = (number, row)
    return [row for _, row in last.values()]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object, where: str) -> int | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise DataError(where, "index", value, "Give the question's row in the split.") from None
    return int(number)


def _read_table(path: Path) -> SavedAnswers:
    rows = []
    for number, values in enumerate(_table(path), 2 if path.suffix != ".json" else 0):
        where = f"{path}, row {number}"
        if "prediction" not in values:
            hint = "VLMEvalKit writes answers here; give the file that its inference wrote."
            raise DataError(where, "prediction", f"columns {', '.join(values)}", hint)
        rows.append(
            SavedRow(
                where,
                Answer(_cell(values["prediction"])),
                index=_whole(values.get("index"), where),
                question=_text(values.get("question")),
                facts={k: values[k] for k in _FACTS if isinstance(values.get(k), str)},
            )
        )
    model = path.stem.removesuffix(f"_{VLMEVALKIT_SET}")
    return SavedAnswers(path, "VLMEvalKit's answers", tuple(rows), model=model)


def _cell(value: object) -> object:
    """Return the text of a cell: a number is the text it was, an empty cell is no answer."""
    if isinstance(value, float) and value != value:
        return None
    return str(value) if isinstance(value, int | float) else value


def _table(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table; what is a number in a column of answers stays the text it was."""
    import pandas as pd

    text: dict[Any, Any] = {"prediction": str}
    options: dict[str, Any] = {
        "dtype": text,
        "keep_default_na": False,
        "na_values": {"index": [""]},
    }
    try:
        if path.suffix == ".xlsx":
            table = pd.read_excel(path, **options)
        elif path.suffix == ".json":
            values = json.loads(path.read_text(encoding="utf-8"))
            table = pd.DataFrame(values)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            table = pd.read_csv(path, sep=separator, **options)
    except ImportError:
        raise DataError(
            path, hint="Reading Excel files needs openpyxl: pip install openpyxl."
        ) from None
    except Exception as error:  # pandas and openpyxl raise anything, zipfile's errors among it
        hint = "Is it whole? VLMEvalKit writes xlsx, tsv or json (PRED_FORMAT)."
        raise DataError(path, found=f"{type(error).__name__}: {error}", hint=hint) from None
    yield from table.to_dict("records")
