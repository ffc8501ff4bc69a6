"""Read the tables of ``rewardmap evaluate`` for a report."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.results import FORMAT

__all__ = ["EvaluationTable", "read_evaluation"]


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """The main table of an evaluation, with formatted cells."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def read_evaluation(folder: Path) -> EvaluationTable:
    """Read the table of a folder written by ``rewardmap evaluate``.

    Raises:
        DataError: The folder has no results, or results of another version.
    """
    hint = "Give a folder written by `rewardmap evaluate`."
    try:
        found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        text = (folder / "table.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(folder, found=str(error), hint=hint) from None
    version = found.get("rewardmap_results") if isinstance(found, dict) else None
    if version != FORMAT:
        hint = f"Only version {FORMAT} can be read; evaluate again."
        raise DataError(folder / "results.json", "rewardmap_results", version, hint)
    table = [_cells(line) for line in _first_table(text)]
    if len(table) < 3:
        raise DataError(folder / "table.md", found="no table", hint=hint)
    name = str(found.get("questions", {}).get("name", folder.name))
    return EvaluationTable(name, table[0], tuple(table[2:]))


def _first_table(text: str) -> list[str]:
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("|")), len(lines))
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("|")), len(lines))
    return lines[start:end]


def _cells(line: str) -> tuple[str, ...]:
    """Return the cells of a row of a Markdown table, without emphasis."""
    cells = line.strip().strip("|").replace("\\|", "\0").split("|")
    return tuple(cell.strip().strip("*_").replace("\0", "|") for cell in cells)
