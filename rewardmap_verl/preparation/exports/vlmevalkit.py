"""Export as VLMEvalKit's table ReasonMap-Plus: the five types with short answers."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.records import PreparedQuestion, read_prepared_questions

__all__ = ["COLUMNS", "export_vlmevalkit"]

COLUMNS = (
    "index",
    "image_path",
    "question",
    "answer",
    "type",
    "country",
    "city",
    "station_1",
    "station_2",
    "difficulty_city",
    "city_line_count",
)
"""Columns that VLMEvalKit reads: image, question, gold answer (a number), type, difficulty."""


def export_vlmevalkit(folder: Path, manifest: Manifest, target: Path) -> list[Path]:
    """Write ``ReasonMap-Plus.tsv`` from the test split.

    VLMEvalKit expects the file in its data folder (``LMUData``). Image paths are absolute, because
    VLMEvalKit resolves them from its working directory. Planning questions are omitted, because
    VLMEvalKit does not score them.

    Returns:
        The file.
    """
    lines = {(entry.country, entry.city): entry.lines for entry in manifest.maps}
    buffer = io.StringIO()
    table = csv.writer(buffer, dialect="excel-tab", lineterminator="\n")
    table.writerow(COLUMNS)
    for record in read_prepared_questions(folder, "test"):
        truth = record.truth
        if not truth.is_planning and not truth.type.spec.beyond_papers:
            table.writerow(_columns(record, lines[truth.country, truth.city]))
    path = target / "ReasonMap-Plus.tsv"
    write_bytes(path, buffer.getvalue().encode())
    return [path]


def _columns(record: PreparedQuestion, line_count: int) -> tuple[object, ...]:
    truth = record.truth
    return (
        record.index,
        record.image_path,
        record.text,
        truth.answer,
        truth.type.value,
        truth.country,
        truth.city,
        truth.station_1,
        truth.station_2,
        truth.difficulty_city,
        line_count,
    )
