"""``rewardmap card``: the model card of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import DataError

__all__ = ["card"]


def card(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    model: Annotated[Path, typer.Argument(help="Folder of its merged model.")],
    license: Annotated[
        str, typer.Option(help="License of the model, as on the hub: apache-2.0, mit, …")
    ] = "other",
    name: Annotated[str, typer.Option(help="Name of the model; default: the run's name.")] = "",
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of `rewardmap evaluate`, to include its table.")
    ] = None,
) -> None:
    """Write a model card (README.md) into a model's folder: data, recipe, scores and license.

    Try it: **rewardmap card runs/synthetic runs/synthetic/merged --license apache-2.0**
    """
    from rewardmap_verl.reports.card import write_card

    try:
        typer.echo(write_card(run, model, license, name, evaluation))
    except DataError as error:
        fail(error)
