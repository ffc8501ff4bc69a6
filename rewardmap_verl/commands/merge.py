"""``rewardmap merge``: convert a checkpoint into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.errors import ConfigError

__all__ = ["merge"]


def merge(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint folder of a run (its latest checkpoint), or a global_step_N."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder to write; must not exist, except with --replace."),
    ],
    dtype: Annotated[
        str,
        typer.Option(
            help="Data type of the model: bfloat16, float32, or auto (that of the run's rollouts)."
        ),
    ] = "auto",
    replace: Annotated[
        bool, typer.Option(help="Replace the model in that folder; its model card is kept.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the output of verl's merger.")
    ] = False,
) -> None:
    """Merge the shards of a checkpoint into a Hugging Face folder; adapters are folded in.

    Example: **rewardmap merge runs/synthetic/checkpoints --out runs/synthetic/merged**

    verl's merger rounds all weights to bfloat16; this command keeps the float32 weights of a
    float32 run. `+recipe/rewardmap=[sft_then_rl]` starts from a merged `+recipe=rewardmap_sft` run.
    """
    from rewardmap_verl.checkpoints import merge as merging
    from rewardmap_verl.launch.quiet import quiet_output

    with readable_errors():
        if dtype not in merging.DTYPES:
            raise ConfigError(
                "--dtype", found=dtype, hint=f"Choose one of {', '.join(merging.DTYPES)}."
            )
        with quiet_output(None, verbose):
            merging.merge(checkpoint, out, dtype=dtype, replace=replace)
    typer.echo(f"{out}: a model folder")
