"""``rewardmap sft-rows``: perfect answers as conversations for verl's SFT trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import DataError

__all__ = ["sft_rows"]


def sft_rows(
    data: Annotated[Path, typer.Argument(help="Prepared data folder.")],
    output: Annotated[
        Path | None,
        typer.Argument(help="Parquet file to write; beside the folder when left out."),
    ] = None,
) -> None:
    """Write the training questions with their perfect answers, for `+recipe=rewardmap_sft`."""
    from rich.console import Console

    from rewardmap_verl.tiny_model.cold_start import write_conversations
    from rewardmap_verl.tiny_model.conversations import read_conversations

    folder = data.absolute()
    path = output or folder.with_name(f"{folder.name}-sft.parquet")
    try:
        count = write_conversations(read_conversations(folder), path)
    except DataError as error:
        fail(error)
    Console().print(f"{path}: {count:,} conversations", highlight=False)
