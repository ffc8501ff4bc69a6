"""``rewardmap card``: the model card of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.push_options import PrivateOption, PushOption

__all__ = ["card"]


def card(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    model: Annotated[Path, typer.Argument(help="Folder of its merged model.")],
    license: Annotated[
        str, typer.Option(help="License of the model, as on the hub: apache-2.0, mit, …")
    ] = "other",
    name: Annotated[str, typer.Option(help="Name of the model; default: the run's name.")] = "",
    evaluation: Annotated[
        Path | None,
        typer.Option(help="Folder of `rewardmap evaluate`: its table, and model-index."),
    ] = None,
    base_model: Annotated[
        str, typer.Option(help="Base model on the hub; default: the one that the run loaded.")
    ] = "",
    dataset: Annotated[
        list[str] | None, typer.Option(help="Data set on the hub; repeatable.")
    ] = None,
    push: PushOption = None,
    private: PrivateOption = False,
) -> None:
    """Write a model card (README.md) into a model's folder: data, recipe, scores and license.

    Try it: **rewardmap card runs/synthetic runs/synthetic/merged --license apache-2.0**

    With **--push OWNER/NAME** the model and its card are uploaded to the Hugging Face Hub.
    """
    from rewardmap_verl.preparation.hub_push import MODEL_FILES, push_folder
    from rewardmap_verl.reports.card import CardOptions, write_card

    options = CardOptions(license, name, evaluation, push or "", base_model, dataset or ())
    with readable_errors():
        typer.echo(write_card(run, model, options))
        if push is not None:
            typer.echo(push_folder(model, push, "model", MODEL_FILES, private))
