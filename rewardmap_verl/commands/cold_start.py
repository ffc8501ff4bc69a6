"""``rewardmap cold-start``: the embedded model learns the answer formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["cold_start"]


def cold_start(
    model: Annotated[Path, typer.Argument(help="Model folder, by `rewardmap tiny-model`.")],
    data: Annotated[Path, typer.Argument(help="Prepared folder; its training rows are learned.")],
    output: Annotated[Path, typer.Argument(help="Folder to write. It must not exist.")],
    steps: Annotated[
        int, typer.Option(help="Training steps: few, so that it learns formats and little else.")
    ] = 150,
) -> None:
    """Train the tiny model on perfect answers for a moment, with verl's SFT trainer on the CPU.

    Without it every answer scores zero and reinforcement learning has nothing to prefer. A
    pretrained model needs no such start. About a minute.
    """
    from rich.console import Console

    from rewardmap_verl.training.cold_start import cold_start as train
    from rewardmap_verl.training.conversations import read_conversations

    try:
        with Console(stderr=True).status(f"cold start, {steps} steps …"):
            train(model, read_conversations(data), output, steps)
    except (ConfigError, DataError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from None
    typer.echo(f"{output}: the model after {steps} steps on perfect answers")
