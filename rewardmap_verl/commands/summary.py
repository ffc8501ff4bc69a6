"""``rewardmap summary``: training and validation metrics of a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.output_format import Format, FormatOption, write_json

__all__ = ["summary"]


def summary(
    run: Annotated[
        Path, typer.Argument(help="Folder of the run, or of its checkpoints, or its record.")
    ],
    format: FormatOption = Format.TABLE,
) -> None:
    """Show what a run trained and what it learned, with chance and majority beside it.

    The first table has the training by stage and question type: rewards, accuracy, groups without
    signal. The second compares held-out accuracy before and after, with 95% intervals. Sentences
    below say what was learned, what was not, and what to do next.
    """
    from rich.console import Console

    from rewardmap_verl.reports.run_summary import summary_of, summary_table

    with readable_errors():
        found = summary_of(run)
    if format is Format.JSON:
        write_json({**asdict(found), "conclusions": found.conclusions})
    else:
        Console().print(summary_table(found))
