"""Write a page that lists the runs of a folder, with links to their reports."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import quote

import jinja2

from rewardmap_verl.curriculum.record import RECORD_NAME, read_record
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder
from rewardmap_verl.reports.run_summary import held_out_accuracy, summarize

__all__ = ["MARK", "find_runs", "write_run_list"]

MARK: Final = "runs.json"
"""A file that only lists of runs have."""

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run of the list."""

    name: str
    """Path below the folder."""
    link: str
    """Relative address of its report; "" if there is none."""
    command: str
    """Command that writes its report."""
    last: str
    """Time of its last entry, UTC."""
    steps: int = 0
    stages: tuple[str, ...] = ()
    held_out: tuple[float, ...] = ()
    """Accuracy at the first and the last validation."""
    fault: str = ""
    """Why its record could not be read."""


def find_runs(folder: Path) -> list[Path]:
    """Return the folders of the runs below a folder, by their records."""
    records = (path for path in folder.rglob(RECORD_NAME) if path.is_file())
    return sorted({_run_folder(path) for path in records})


def _run_folder(record: Path) -> Path:
    return record.parent.parent if record.parent.name == "checkpoints" else record.parent


def write_run_list(folder: Path, runs: Sequence[Path], output: Path) -> Path:
    """Write the list of runs and return its page.

    Args:
        folder: The folder of the runs.
        runs: The result of ``find_runs``.
        output: The folder to write; an older list there is replaced.

    Raises:
        DataError: ``output`` exists and is no list of runs, or cannot be written.
    """
    entries = [_entry(run, folder, output) for run in runs]
    with disk_errors(output), staging_folder(output, MARK) as building:
        page = _page(folder.resolve().name, entries)
        (building / "index.html").write_text(page, "utf-8", errors="xmlcharrefreplace")
        (building / MARK).write_text(json.dumps({"rewardmap_runs": _FORMAT}), "utf-8")
    return output / "index.html"


def _page(title: str, entries: Sequence[RunEntry]) -> str:
    room = files(__package__).joinpath("page")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(room.joinpath("runs.html").read_text("utf-8")).render(
        title=title,
        runs=entries,
        style=room.joinpath("report.css").read_text("utf-8"),
        version=version("rewardmap-verl"),
    )


def _entry(run: Path, folder: Path, output: Path) -> RunEntry:
    report = run / "report" / "index.html"
    link = quote(os.path.relpath(report, output)) if report.is_file() else ""
    name = os.path.relpath(run, folder)
    command = f"rewardmap report {run}"
    record = next(path for path in sorted(run.rglob(RECORD_NAME)) if path.is_file())
    try:
        found = read_record(record)
    except DataError as error:
        return RunEntry(name, link, command, _time(record.stat().st_mtime), fault=str(error))
    summary = summarize(found)
    stages = tuple(dict.fromkeys(stage for stage, _, _ in summary.visits))
    last, accuracy = _time(found[-1].time), tuple(held_out_accuracy(summary))
    return RunEntry(name, link, command, last, summary.steps, stages, accuracy)


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return ""
