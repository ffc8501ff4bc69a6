"""``rewardmap curriculum``: look at a curriculum before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["curriculum"]

curriculum = typer.Typer(no_args_is_help=True, help="Look at a curriculum before it is run.")


@curriculum.callback()
def _group() -> None:
    """Look at a curriculum before it is run."""


@curriculum.command()
def preview(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="The words after `verl.trainer.main_ppo`; +recipe=rewardmap goes without saying."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Seconds a step takes, to tell the hours.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of an earlier run to take the seconds from.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Draw the mixture of every step (.png, .svg, .pdf).")
    ] = None,
) -> None:
    """Show stages, rows, steps and mixtures of the curriculum that a run would train.

    Try it: rewardmap curriculum preview data.folder=data/synthetic data.curriculum.stages=coarse
    """
    from rich.console import Console

    from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
    from rewardmap_verl.curriculum.preview import draw_preview, preview, preview_table
    from rewardmap_verl.preflight.compose import compose_run
    from rewardmap_verl.reports.run_summary import summary_of

    try:
        if run is not None:
            seconds = summary_of(run).step_seconds
        layout = plan_curriculum(compose_run(overrides or []).data)
    except (ConfigError, DataError) as error:
        fail(error)
    console = Console()
    console.print(preview_table(preview(layout), seconds))
    if layout.unused_rows:
        console.print(
            f"{layout.unused_rows} of {len(layout.columns['type'])} rows are in no stage."
        )
    if picture is not None:
        draw_preview(layout, picture)
        console.print(f"Drawn: {picture}")
