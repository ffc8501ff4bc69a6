"""A table for VLMEvalKit's data set ReasonMap-Plus: the five types with a short answer."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.exports.records import read_records
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.paths import inside

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
"""What its class reads: the picture, the question, the gold answer as a number, type and level."""


def export_vlmevalkit(folder: Path, manifest: Manifest, target: Path) -> list[Path]:
    """Write ``ReasonMap-Plus.tsv`` from the test split.

    VLMEvalKit looks for it in its folder of data (``LMUData``). Image paths are absolute, because
    it opens them from wherever it is started. Planning is not among the types that it scores.

    Returns:
        The file.
    """
    lines = {(entry.country, entry.city): entry.lines for entry in manifest.maps}
    buffer = io.StringIO()
    table = csv.writer(buffer, dialect="excel-tab", lineterminator="\n")
    table.writerow(COLUMNS)
    for record in read_records(folder, manifest, "test"):
        truth = record.truth
        if not truth.is_planning and not truth.type.spec.beyond_papers:
            table.writerow(
                (
                    record.index,
                    inside(folder, record.image),
                    record.text,
                    truth.answer,
                    truth.type.value,
                    truth.country,
                    truth.city,
                    truth.station_1,
                    truth.station_2,
                    truth.difficulty_city,
                    lines[truth.country, truth.city],
                )
            )
    path = target / "ReasonMap-Plus.tsv"
    write_bytes(path, buffer.getvalue().encode())
    return [path]
