"""``rewardmap summary``: training and validation metrics of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import DataError

__all__ = ["summary"]


def summary(
    run: Annotated[
        Path, typer.Argument(help="Folder of the run's checkpoints (trainer.default_local_dir).")
    ],
) -> None:
    """Show a run by stage and question type: steps, rewards, accuracy, groups without signal."""
    from rich.console import Console

    from rewardmap_verl.reports.run_summary import summary_of, summary_table

    try:
        found = summary_of(run)
    except DataError as error:
        fail(error)
    Console().print(summary_table(found))
