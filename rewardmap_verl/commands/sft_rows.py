"""``rewardmap sft-rows``: perfect answers as conversations for verl's SFT trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["sft_rows"]


def sft_rows(
    data: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Parquet file to write. [default: DATA-sft.parquet, beside DATA]"
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Question type to use; repeatable [default: all types]."),
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help=r"Answers without \boxed{}, as in the released data.")
    ] = False,
) -> None:
    """Write the training questions with their perfect answers, for `+recipe=rewardmap_sft`.

    Example: **rewardmap sft-rows data/synthetic**
    """
    from rich.console import Console

    from rewardmap_verl.preparation.atomic import disk_errors
    from rewardmap_verl.tiny_model.cold_start import write_conversations
    from rewardmap_verl.tiny_model.conversations import of_types, read_conversations, unboxed

    folder = data.absolute()
    path = out or folder.with_name(f"{folder.name}-sft.parquet")
    with readable_errors(), disk_errors(path):
        found = of_types(read_conversations(folder), type_ or (), folder)
        count = write_conversations(map(unboxed, found) if bare else found, path)
    Console().print(f"{path}: {count:,} conversations", highlight=False)
