"""Read saved answers from files.

=================  ========================================================================
file               written by
=================  ========================================================================
``*.jsonl``        ``rewardmap evaluate`` (a header, then one answer a line)
``<step>.jsonl``   verl, into ``trainer.validation_data_dir``
``*.jsonl``        any program: objects with ``index`` or ``key``, and ``response``
``*.xlsx`` …       VLMEvalKit (xlsx, tsv, json, csv): ``index``, ``question``, ``prediction``
=================  ========================================================================

A row only describes its question; ``rewardmap_verl.evaluation.gather`` finds the question.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.answer_log import HEADER, check_version
from rewardmap_verl.evaluation.verdicts import Answer
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.rewards.response_text import last_turn, response_text
from rewardmap_verl.rewards.rows import read_json_lines

__all__ = ["LOG_NAME", "OWN_FORMAT", "SavedAnswers", "SavedRow", "find_saved", "read_saved"]

_FACTS: Final = ("country", "city", "type", "station_1", "station_2")
_TABLES: Final = (".xlsx", ".tsv", ".csv", ".json")
_RESPONSES: Final = ("response", "prediction", "output", "answer_text")
LOG_NAME: Final = "answers.jsonl"
"""Name of the answer log in a folder of ``rewardmap evaluate``."""
OWN_FORMAT: Final = "rewardmap's answers"
"""Format of the logs that ``rewardmap evaluate`` writes."""

_MAX_TOKENS: Final = 10**9
_MAX_DIGITS: Final = 10
_MAX_WORKBOOK: Final = 1 << 30
"""Bytes of an unpacked workbook."""
VLMEVALKIT_SET: Final = "ReasonMap-Plus"
"""VLMEvalKit's name of the data set, the suffix of its file names."""


@dataclass(frozen=True, slots=True)
class SavedRow:
    """One answer and the file's description of its question; ``None`` for missing fields."""

    where: str
    answer: Answer
    key: str | None = None
    index: int | None = None
    gold: str | None = None
    """verl's ``gts``."""
    question: str | None = None
    """The question's text, or verl's ``input``, which contains it."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Fields of the question that the row repeats."""
    rollout: str = ""
    """Rows of one question with different rollouts are separate answers, not duplicates."""


@dataclass(frozen=True, slots=True)
class SavedAnswers:
    """The contents of one file of answers."""

    path: Path
    format: str
    """Name of the format, for the report."""
    rows: tuple[SavedRow, ...]
    fingerprint: str = ""
    """Fingerprint of the answered questions; "" if the file has none."""
    model: str = ""
    broken: tuple[DataError, ...] = ()
    """Lines that could not be read."""


def find_saved(path: Path) -> Path:
    """Return the file of answers in a folder, or the file itself.

    In a folder of ``rewardmap evaluate`` it is the answer log, in one of verl's dumps the newest
    step, in one of VLMEvalKit the file of ReasonMap-Plus.

    Raises:
        DataError: There are no answers.
    """
    if path.is_file():
        return path
    if (path / LOG_NAME).is_file():
        return path / LOG_NAME
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
    """Read a file of answers in any of the formats.

    Raises:
        DataError: The file cannot be read, has another version, or has no answers.
    """
    path = find_saved(path)
    if path.suffix == ".jsonl":
        saved = _read_lines(path)
    elif path.suffix in _TABLES:
        saved = _read_table(path)
    else:
        raise DataError(
            path, found=path.suffix, hint="Supported: .jsonl, .xlsx, .tsv, .csv, .json."
        )
    if not saved.rows:
        hint = "It has no answers."
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
            hint = line.fault.hint if line.fault else "A row is a JSON object."
            broken.append(DataError(where, hint=hint))
        elif HEADER in line.values:
            header = line.values
            check_version(header, path)
        else:
            dumped = "gts" in line.values
            names.add("verl's dump" if dumped else "JSON lines")
            rows.append(_dumped(line.values, where) if dumped else _plain(line.values, where))
    format = OWN_FORMAT if header else " and ".join(sorted(names))
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
    """Read a row of ours, or of any other program."""
    name = next((n for n in _RESPONSES if n in values), None)
    if name is None:
        hint = 'Give the model\'s answer as "response", or null if the model failed.'
        raise DataError(where, "response", f"the fields {', '.join(map(str, values))}", hint)
    return SavedRow(
        where,
        Answer(
            response_text(values[name], where, name),
            _token_count(values.get("tokens")),
            cut=values.get("finish") == "length",
            refused=values.get("finish") == "refusal",
            prompt_tokens=_token_count(values.get("prompt_tokens")),
        ),
        key=_text(values.get("key")),
        index=_whole(values.get("index"), where),
        question=_text(values.get("question")),
        facts={k: values[k] for k in _FACTS if isinstance(values.get(k), str)},
        rollout=str(values.get("rollout", "")),
    )


def _dumped(values: Mapping[str, Any], where: str) -> SavedRow:
    if not isinstance(values.get("gts"), str):
        hint = "Expected verl's ground truth; these data were not prepared by `rewardmap prepare`."
        raise DataError(where, "gts", values.get("gts"), hint)
    return SavedRow(
        where,
        Answer(response_text(last_turn(values.get("output")), where, "output")),
        gold=values["gts"],
        question=_text(values.get("input")),
        rollout=str(values.get("uid", where)),
    )


def _last_outputs(rows: list[SavedRow]) -> list[SavedRow]:
    """Keep the last output of each rollout, which is the one that verl scores.

    Outputs are named ``<uid>_<rollout>_<output>``.
    """
    last: dict[str, tuple[int, SavedRow]] = {}
    for row in rows:
        rollout, _, output = row.rollout.rpartition("_")
        is_number = output.isdecimal() and len(output) <= _MAX_DIGITS
        name, number = (rollout, int(output)) if is_number else (row.rollout, 0)
        if name not in last or number >= last[name][0]:
            last[name] = (number, row)
    return [row for _, row in last.values()]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _token_count(value: object) -> int | None:
    """Return a plausible number of tokens, else ``None``."""
    return value if isinstance(value, int) and 0 <= value <= _MAX_TOKENS else None


def _whole(value: object, where: str) -> int | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    try:
        number = int(value)  # type: ignore[call-overload]
        is_whole = isinstance(value, str) or number == value
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise DataError(where, "index", value, "Give the question's row in the split.")
    return int(number)


def _read_table(path: Path) -> SavedAnswers:
    rows = []
    for number, values in enumerate(_table(path), 2 if path.suffix != ".json" else 0):
        where = f"{path}, row {number}"
        if "prediction" not in values:
            hint = "VLMEvalKit's column of answers is missing. Give the file of its inference."
            raise DataError(where, "prediction", f"columns {', '.join(map(str, values))}", hint)
        rows.append(
            SavedRow(
                where,
                Answer(response_text(values["prediction"], where, "prediction")),
                index=_whole(values.get("index"), where),
                question=_text(values.get("question")),
                facts={k: values[k] for k in _FACTS if isinstance(values.get(k), str)},
            )
        )
    model = path.stem.removesuffix(f"_{VLMEVALKIT_SET}")
    return SavedAnswers(path, "VLMEvalKit's answers", tuple(rows), model=model)


def _table(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table; answers stay text, also those that look like numbers."""
    import pandas as pd

    text: dict[Any, Any] = {"prediction": str}
    options: dict[str, Any] = {
        "dtype": text,
        "keep_default_na": False,
        "na_values": {"index": [""]},
    }
    try:
        if path.suffix == ".xlsx":
            _check_workbook(path)
            table = pd.read_excel(path, **options)
        elif path.suffix == ".json":
            values = parse_json(path.read_text(encoding="utf-8"))
            table = pd.DataFrame(values)
        else:
            separator = "\t" if path.suffix == ".tsv" else ","
            table = pd.read_csv(path, sep=separator, **options)
    except DataError:
        raise
    except ImportError:
        raise DataError(
            path, hint="Reading Excel files needs openpyxl: pip install openpyxl."
        ) from None
    except Exception as error:  # pandas and openpyxl raise many types, also zipfile's
        hint = "Is it complete? VLMEvalKit writes xlsx, tsv or json (PRED_FORMAT)."
        raise DataError(path, found=f"{type(error).__name__}: {error}", hint=hint) from None
    yield from table.to_dict("records")


def _check_workbook(path: Path) -> None:
    """Refuse a workbook that expands to more than memory should hold.

    Raises:
        DataError: The workbook is too large.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > _MAX_WORKBOOK:
        raise DataError(path, found=f"{size:,} bytes when unpacked", hint="It is too large.")
