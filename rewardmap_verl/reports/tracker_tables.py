"""Tables of answers with their maps, in wandb or trackio, from the dumps of a run.

verl's loggers show answers as text. Both trackers have the same functions for tables and images.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.reports.prepared import PreparedData, data_folders, read_prepared
from rewardmap_verl.reports.rollouts import RolloutGroup, read_groups
from rewardmap_verl.reports.runs import Run

__all__ = ["COLUMNS", "log_answers"]

COLUMNS: Final = ("map", "type", "question", "answer", "reward")


def log_answers(run: Run, tracker: str, limit: int) -> int:
    """Log a table for each step, ``answers/train`` and ``answers/val``.

    The tracker gets a run of its own, since the steps of the training are closed in it: its name is
    that of the training with ``-answers``, in the same project.

    Args:
        run: A run with dumped rollouts.
        tracker: The module ``wandb`` or ``trackio``.
        limit: Questions per table; each has all answers of its group.

    Returns:
        The number of tables.

    Raises:
        ConfigError: The tracker is not installed.
        DataError: The run has no dumped rollouts, or its prepared data cannot be read.
    """
    if not run.dumps:
        raise DataError(run.folder, hint="It has no dumped answers (trainer.rollout_data_dir).")
    client = _client(tracker)
    data = read_prepared(data_folders(run.config))
    project = str(run.setting("trainer.project_name") or "rewardmap")
    client.init(project=project, name=f"{run.name}-answers")
    try:
        tables = 0
        for dump in sorted(run.dumps, key=lambda one: one.step):
            groups = (one for one in read_groups(dump.path) if isinstance(one, RolloutGroup))
            for part, rows in _by_part(islice(groups, limit), data, client).items():
                table = client.Table(columns=list(COLUMNS), data=rows)
                client.log({f"answers/{part}": table}, step=dump.step)
                tables += 1
        return tables
    finally:
        client.finish()


def _client(tracker: str) -> ModuleType:
    try:
        return importlib.import_module(tracker)
    except ImportError as error:
        raise ConfigError(
            "tracker", found=tracker, hint=f"It is not installed: uv pip install {tracker}"
        ) from error


def _by_part(
    groups: Iterator[RolloutGroup], data: PreparedData, client: ModuleType
) -> dict[str, list[list[Any]]]:
    """Return the rows of training and validation."""
    found: dict[str, list[list[Any]]] = {}
    for group in groups:
        prepared = data.maps.get((group.truth.country, group.truth.city))
        for one in group.rollouts:
            image = client.Image(_existing(prepared.image)) if prepared else ""
            row = [image, group.truth.type, group.question, str(one.answer), one.score]
            found.setdefault(group.part, []).append(row)
    return found


def _existing(path: Path) -> str:
    if not path.is_file():
        raise DataError(path, hint="There is no such map. Was the prepared folder moved?")
    return str(path)
