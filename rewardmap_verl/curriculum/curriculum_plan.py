"""Plan the training order from verl's ``data`` block, without a model or a tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from rewardmap_verl.curriculum.config import (
    CurriculumConfig,
    file_names,
    read_curriculum,
)
from rewardmap_verl.curriculum.derived_columns import DERIVED_COLUMNS
from rewardmap_verl.curriculum.rows import Files
from rewardmap_verl.curriculum.schedule import Schedule, build_schedule
from rewardmap_verl.curriculum.stage_rows import (
    Columns,
    needed_columns,
    plan_stages,
    rows_never_trained,
)
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.inputs.parquet import parquet_rows

__all__ = ["CurriculumPlan", "plan_curriculum", "read_columns"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CurriculumPlan:
    """A curriculum applied to its data."""

    settings: CurriculumConfig
    columns: Columns
    schedule: Schedule
    unused_rows: int  # number of rows that no stage trains


def plan_curriculum(data: DictConfig) -> CurriculumPlan:
    """Apply the curriculum of a ``data`` block to its training files.

    Raises:
        ConfigError: The settings do not fit the data.
        DataError: A file is missing or is not a complete parquet file.
    """
    settings = read_curriculum(data)
    files = Files.from_names(file_names(data.train_files))
    columns = read_columns(files, needed_columns(settings), data.get("train_max_samples", -1))
    stages = plan_stages(settings, columns, data.train_batch_size)
    schedule = build_schedule(stages, settings.seed, data.train_batch_size)
    unused = rows_never_trained(stages, columns)
    if unused:
        logger.warning("%d of %d rows are in no stage", unused, len(columns["type"]))
    return CurriculumPlan(settings, columns, schedule, unused)


def read_columns(files: Files, names: Sequence[str], limit: int = -1) -> dict[str, list[object]]:
    """Read some keys of ``extra_info`` from every row of the files.

    Args:
        files: The parquet files, in order.
        names: Keys of ``extra_info`` or of
            ``DERIVED_COLUMNS``.
        limit: Number of rows to read, from the first; 0 or less: all.

    Raises:
        ConfigError: The rows have no such key.
    """
    rows = [
        (path.parent, row["extra_info"])
        for path in files.paths
        for row in parquet_rows(path, ["extra_info"])
    ]
    if limit > 0:
        rows = rows[:limit]
    known = sorted(rows[0][1]) if rows else []
    for name in names:
        if name not in known and name not in DERIVED_COLUMNS:
            raise ConfigError(
                "data.curriculum.stages[…].where",
                found=name,
                hint=f"extra_info has no such key. Rows have {', '.join(known)}; computed from "
                f"their network: {', '.join(DERIVED_COLUMNS)}.",
            )
    return {
        name: [info[name] for _, info in rows] if name in known else _derive(name, rows)
        for name in names
    }


def _derive(name: str, rows: Sequence[tuple[Path, dict[str, object]]]) -> list[object]:
    value = DERIVED_COLUMNS[name]()
    return [value(folder, info) for folder, info in rows]
