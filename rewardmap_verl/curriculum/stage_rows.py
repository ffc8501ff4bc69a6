"""Select the rows of each stage from the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rewardmap_verl.curriculum.config import (
    BLOCK,
    CurriculumConfig,
    PartConfig,
    StageConfig,
    Value,
)
from rewardmap_verl.curriculum.schedule import RowStream, Stage
from rewardmap_verl.errors import ConfigError

__all__ = ["Columns", "needed_columns", "plan_stages", "rows_never_trained"]

Columns = Mapping[str, Sequence[object]]
"""Values of ``extra_info`` by key, one value per row. The column ``type`` is always present."""


def needed_columns(settings: CurriculumConfig) -> list[str]:
    """Return the keys of ``extra_info`` that decide when a row is trained."""
    parts = (part for stage in settings.stages for part in stage.parts)
    difficulty = ["difficulty_city", "question_transfer_count"] if settings.target else []
    filters = (key for part in parts for key in part.where)
    return list(dict.fromkeys(["type", *filters, *difficulty]))


def plan_stages(settings: CurriculumConfig, columns: Columns, batch_size: int) -> list[Stage]:
    """Select the rows and the length of each stage.

    Raises:
        ConfigError: A part of a stage has no rows, or no stage trains a type of the data.
    """
    stages = [
        _plan_stage(stage, f"{BLOCK}.stages[{index}]", columns, batch_size)
        for index, stage in enumerate(settings.stages)
    ]
    _check_all_types_trained(settings, columns)
    return [
        replace(stage, streams=(*stage.streams, *_replayed(index, stages, settings, columns)))
        for index, stage in enumerate(stages)
    ]


def rows_never_trained(stages: Iterable[Stage], columns: Columns) -> int:
    """Count the rows that no stage draws, because of filters or ``leave_out``."""
    trained = {row for stage in stages for stream in stage.streams for row in stream.rows}
    return len(columns["type"]) - len(trained)


def _plan_stage(stage: StageConfig, where: str, columns: Columns, batch_size: int) -> Stage:
    streams = []
    for index, part in enumerate(stage.parts):
        path = f"{where}.mixture[{index}]" if stage.mixture else where
        rows = _rows_of(part, path, columns)
        weight = float(len(rows)) if part.weight is None else part.weight
        streams.append(RowStream(f"{index}", rows, weight, part.replay))
    return Stage(
        name=stage.name,
        streams=tuple(streams),
        epochs=stage.epochs or 1,
        length=stage.steps * batch_size if stage.steps else stage.rows,
    )


def _replayed(
    index: int, stages: Sequence[Stage], settings: CurriculumConfig, columns: Columns
) -> list[RowStream]:
    """Return the streams of ``replay``: one per question type, with equal weights."""
    if not settings.replay or settings.target or settings.stages[index].lists_replay:
        return []
    own = _rows_without_replay([stages[index]])
    others = stages[:index] if settings.replay_from == "earlier" else stages
    by_type: dict[str, list[int]] = {}
    for row in sorted(_rows_without_replay(others) - own):
        by_type.setdefault(str(columns["type"][row]), []).append(row)
    total = sum(stream.weight for stream in stages[index].streams)
    weight = total * settings.replay / (1 - settings.replay) / max(len(by_type), 1)
    return [
        RowStream(f"replay/{kind}", tuple(rows), weight, replay=True)
        for kind, rows in sorted(by_type.items())
    ]


def _rows_without_replay(stages: Iterable[Stage]) -> set[int]:
    streams = (stream for stage in stages for stream in stage.streams if not stream.replay)
    return {row for stream in streams for row in stream.rows}


def _rows_of(part: PartConfig, path: str, columns: Columns) -> tuple[int, ...]:
    for name in part.types:
        if name not in columns["type"]:
            raise ConfigError(
                f"{path}.types",
                found=name,
                hint=f"No training row has this type. The data have {_counts(columns['type'])}.",
            )
    wanted: dict[str, tuple[Value, ...]] = {"type": part.types}
    for key, value in part.where.items():
        wanted[key] = value if isinstance(value, tuple) else (value,)
        _check_filter(f"{path}.where.{key}", wanted[key], columns[key])
    rows = tuple(
        row
        for row in range(len(columns["type"]))
        if all(columns[key][row] in values for key, values in wanted.items())
    )
    if not rows:
        raise ConfigError(
            f"{path}.where",
            found=part.where,
            hint=f"No row of {', '.join(part.types)} has all of these values.",
        )
    return rows


def _check_filter(path: str, values: tuple[Value, ...], column: Sequence[object]) -> None:
    for value in values:
        if value not in column:
            raise ConfigError(
                path,
                found=value,
                hint=f"No training row has this value. The data have {_counts(column)}.",
            )


def _check_all_types_trained(settings: CurriculumConfig, columns: Columns) -> None:
    trained = frozenset[str]().union(*(stage.all_types for stage in settings.stages))
    present = set(map(str, columns["type"]))
    forgotten = present - trained - set(settings.leave_out)
    if forgotten:
        missing = [kind for kind in columns["type"] if kind in forgotten]
        raise ConfigError(
            f"{BLOCK}.stages",
            found=f"no stage for {_counts(missing)}",
            hint=f"Add a stage for these types, or list them in {BLOCK}.leave_out.",
        )


def _counts(values: Iterable[object], limit: int = 12) -> str:
    """Format values with their counts, such as ``TorF1 (48 rows), TorF2 (48 rows)``."""
    counts = Counter(values)
    shown = [f"{value} ({count} rows)" for value, count in counts.most_common(limit)]
    if len(counts) > limit:
        shown.append(f"{len(counts) - limit} more")
    return ", ".join(shown)
