"""``rewardmap merge``: a model folder from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.errors import ConfigError

__all__ = ["merge"]


def merge(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run's folder (its newest checkpoint), or a global_step_N.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
) -> None:
    """Join the shards of a checkpoint into a Hugging Face folder; adapters become weights.

    What `+recipe=rewardmap_sft` trained becomes what `+recipe/rewardmap=[sft_then_rl]` starts from.
    """
    from rewardmap_verl.training import merging

    try:
        merging.merge(checkpoint, output)
    except ConfigError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(1) from None
    typer.echo(f"{output}: a model folder")
