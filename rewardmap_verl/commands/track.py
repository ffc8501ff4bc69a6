"""``rewardmap track``: tables of answers with their maps in a tracker."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["track"]


class Tracker(str, Enum):
    """Trackers that show images in tables."""

    WANDB = "wandb"
    TRACKIO = "trackio"


def track(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    tracker: Annotated[
        Tracker, typer.Option(help="Where the tables go; it must be installed.")
    ] = Tracker.WANDB,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="Questions in the table of each step.")
    ] = 16,
) -> None:
    """Log the answers of a run with their maps as tables in wandb or trackio.

    During training, verl's loggers get the metrics, and text of answers with
    `trainer.log_val_generations=16`. This adds, after it, a table for each step with map, question,
    answers and rewards, in a run of its own in the same project.

    Without a network: **WANDB_MODE=offline rewardmap track runs/synthetic**

    On this machine: **rewardmap track runs/synthetic --tracker trackio**
    """
    from rewardmap_verl.reports.runs import read_run
    from rewardmap_verl.reports.tracker_tables import log_answers

    with readable_errors():
        tables = log_answers(read_run(run), tracker.value, limit)
    typer.echo(f"{tables} tables in {tracker.value}")
