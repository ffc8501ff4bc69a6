"""Read the tables of ``rewardmap evaluate`` for a report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.markdown import unescape
from rewardmap_verl.evaluation.results import FORMAT
from rewardmap_verl.inputs.parsing import parse_json

__all__ = ["RESULTS_NAME", "EvaluationTable", "read_evaluation", "read_results", "read_table"]

RESULTS_NAME: Final = "results.json"

_HINT: Final = "Give a folder written by `rewardmap evaluate`."
_RULE: Final = 2
"""Lines of a Markdown table before its body."""
_EMPHASIS: Final = re.compile(r"^\*(.*)\*$")


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
    table = read_table(folder / "table.md")
    questions = found.get("questions")
    name = questions.get("name") if isinstance(questions, dict) else None
    return EvaluationTable(str(name or folder.name), table[0], tuple(table[_RULE:]))


def read_table(path: Path) -> list[tuple[str, ...]]:
    """Return the rows of the first table of a Markdown file: head, rule, then the others.

    Raises:
        DataError: The file cannot be read, or has no table.
    """
    try:
        table = [_cells(line) for line in _first_table(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError) as error:
        raise DataError(path, found=str(error), hint=_HINT) from None
    if len(table) < _RULE:
        raise DataError(path, found="no table", hint=_HINT)
    return table


def _first_table(text: str) -> list[str]:
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("|")), len(lines))
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return lines[start:end]


def _cells(line: str) -> tuple[str, ...]:
    """Return the cells of a row of a Markdown table, without emphasis."""
    cells = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    return tuple(unescape(_EMPHASIS.sub(r"\1", cell.strip())) for cell in cells)
