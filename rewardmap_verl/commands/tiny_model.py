"""``rewardmap tiny-model``: a Qwen2.5-VL small enough to train on two CPU cores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["tiny_model"]


def tiny_model(
    data: Annotated[
        Path, typer.Argument(help="Prepared data folder, whose texts the tokenizer learns.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write; must not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 1,
) -> None:
    """Build a tiny Qwen2.5-VL, random but whole: weights, tokenizer, template, image processor.

    It has half a million parameters and goes through the same code of verl, vLLM and transformers
    as the model of seven billion. `rewardmap cold-start` then teaches it the answer formats.
    """
    from rich.console import Console

    from rewardmap_verl.training.conversations import read_texts
    from rewardmap_verl.training.tiny_model import build_tiny_model, count_parameters

    try:
        build_tiny_model(output, read_texts(data), seed)
    except (DataError, ConfigError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from None
    Console().print(f"{output}: {count_parameters(output):,} parameters", highlight=False)
