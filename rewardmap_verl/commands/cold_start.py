"""``rewardmap cold-start``: teach the tiny model the answer formats before its training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["cold_start"]


def cold_start(
    model: Annotated[Path, typer.Argument(help="Folder of `rewardmap tiny-model`.")],
    data: Annotated[Path, typer.Argument(help="Prepared data folder; its train split is used.")],
    output: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    steps: Annotated[
        int, typer.Option(min=1, help="Updates; more make a better and less curious model.")
    ] = 100,
    most: Annotated[
        int, typer.Option(min=16, help="Most conversations to learn from, under 1 MB each.")
    ] = 512,
    seed: Annotated[int, typer.Option(help="Chooses among more conversations than that.")] = 1,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Only questions of this type; repeat it [all types]."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="key=value for verl's SFT trainer, over recipe/cold_start; repeat it."),
    ] = None,
) -> None:
    """Show the tiny model perfect answers, with verl's SFT trainer on the CPU, for about a minute.

    It ends early on purpose: the model knows the formats and is mostly wrong, so that rewards
    differ and reinforcement learning has something to prefer.
    """
    from rich.console import Console

    from rewardmap_verl.tiny_model import cold_start as supervised
    from rewardmap_verl.tiny_model.conversations import of_types, read_conversations, sample_evenly

    console = Console()
    try:
        found = of_types(read_conversations(data), type_ or (), data)
        chosen = sample_evenly(found, most, seed)
        with console.status(f"{steps} steps on {len(chosen)} conversations"):
            supervised.cold_start(model, chosen, output, steps, override or ())
    except (DataError, ConfigError) as error:
        fail(error)
    console.print(f"{output}: {steps} steps on {len(chosen)} conversations", highlight=False)
