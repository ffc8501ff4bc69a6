"""``rewardmap merge``: a model folder from a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["merge"]


def merge(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run's folder (its newest checkpoint), or a global_step_N.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; it must not exist.")],
    dtype: Annotated[
        str,
        typer.Option(
            help="Numbers of the model: bfloat16, float32, or auto, as in the run's rollouts."
        ),
    ] = "auto",
    replace: Annotated[
        bool, typer.Option(help="Replace the model that lies there; its model card stays.")
    ] = False,
) -> None:
    """Join the shards of a checkpoint into a Hugging Face folder; adapters become weights.

    verl's own merger rounds every number to bfloat16; a run in float32 keeps its numbers here.

    What `+recipe=rewardmap_sft` trained becomes what `+recipe/rewardmap=[sft_then_rl]` starts from.
    """
    from rewardmap_verl.checkpoints import merge as merging

    try:
        if dtype not in merging.DTYPES:
            raise ConfigError("--dtype", found=dtype, hint=f"One of {', '.join(merging.DTYPES)}.")
        merging.merge(checkpoint, output, dtype=dtype, replace=replace)
    except (ConfigError, DataError) as error:
        fail(error)
    typer.echo(f"{output}: a model folder")
