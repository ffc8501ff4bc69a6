"""``rewardmap tiny-model``: the embedded model, not yet trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.errors import ConfigError, DataError

__all__ = ["tiny_model"]


def tiny_model(
    data: Annotated[
        Path, typer.Argument(help="Prepared folder; the tokenizer is trained on its texts.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write. It must not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of the weights.")] = 0,
) -> None:
    """Build a tiny Qwen2.5-VL with random weights, which runs the whole stack on two CPU cores.

    It is an ordinary Hugging Face folder: model, tokenizer, processor, chat template. It knows
    nothing yet; `rewardmap cold-start` shows it the answer formats.
    """
    from rewardmap_verl.training.conversations import read_conversations
    from rewardmap_verl.training.tiny_model import build_tiny_model

    try:
        conversations = list(read_conversations(data))
        texts = [text for one in conversations for text in (one.prompt, one.answer)]
        build_tiny_model(output, texts, seed)
    except (ConfigError, DataError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from None
    typer.echo(f"{output}: a tiny Qwen2.5-VL with random weights")
