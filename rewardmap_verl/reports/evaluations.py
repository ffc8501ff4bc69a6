"""Read the tables of ``rewardmap evaluate`` for a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.results import FORMAT
from rewardmap_verl.inputs.parsing import parse_json

__all__ = ["RESULTS_NAME", "EvaluationTable", "read_evaluation", "read_results"]

RESULTS_NAME: Final = "results.json"

_HINT: Final = "Give a folder written by `rewardmap evaluate`."
_TABLE: Final = TypeAdapter(list[tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """The main table of an evaluation, with formatted cells."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_results(folder: Path) -> dict[str, Any]:
    """Read the ``results.json`` of a folder written by ``rewardmap evaluate``.

    Raises:
        DataError: The folder has no results, or results of another version.
    """
    try:
        found = parse_json((folder / RESULTS_NAME).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(folder, found=str(error), hint=_HINT) from None
    version = found.get("rewardmap_results") if isinstance(found, dict) else None
    if version != FORMAT:
        hint = f"Only version {FORMAT} can be read; evaluate again."
        raise DataError(folder / RESULTS_NAME, "rewardmap_results", version, hint)
    return found


def read_evaluation(folder: Path) -> EvaluationTable:
    """Read the table of a folder written by ``rewardmap evaluate``.

    Raises:
        DataError: The folder has no results, or results of another version.
    """
    found = read_results(folder)
    try:
        head, *rows = _TABLE.validate_python(found.get("table"))
    except ValueError as error:
        raise DataError(folder / RESULTS_NAME, "table", str(error), _HINT) from None
    questions = found.get("questions")
    name = questions.get("name") if isinstance(questions, dict) else None
    return EvaluationTable(str(name or folder.name), head, tuple(rows))
