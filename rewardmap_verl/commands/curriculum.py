"""``rewardmap curriculum``: inspect a curriculum before training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["curriculum"]

curriculum = typer.Typer(no_args_is_help=True, help="Inspect a curriculum before training.")


@curriculum.callback()
def _group() -> None:
    """Inspect a curriculum before training."""


@curriculum.command()
def preview(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides as for `verl.trainer.main_ppo`; +recipe=rewardmap is added if missing."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Seconds per step, to show durations.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of an earlier run; its seconds per step are used.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Plot the mixture of every step to this file (.png, .svg, .pdf)."),
    ] = None,
) -> None:
    """Show the stages of a run's curriculum with their rows, steps and mixtures.

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
        plan = plan_curriculum(compose_run(overrides or []).data)
    except (ConfigError, DataError) as error:
        fail(error)
    console = Console()
    console.print(preview_table(preview(plan), seconds))
    if plan.unused_rows:
        console.print(f"{plan.unused_rows} of {len(plan.columns['type'])} rows are in no stage.")
    if picture is not None:
        draw_preview(plan, picture)
        console.print(f"Written: {picture}")
