"""``rewardmap pocket-model``: the pretrained embedded model as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["pocket_model"]


def pocket_model(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist.")],
) -> None:
    """Copy the pretrained embedded model out of the package.

    It is a complete Qwen2.5-VL of 1.4 million parameters that reads the maps of
    `rewardmap prepare synthetic --size pocket` and rarely plans a route. `make train` starts from
    it. It was made by `rewardmap pretrain`; pretraining.json in the folder is the record.
    """
    from rewardmap_verl.tiny_model.pocket_model import copy_pocket_model

    with readable_errors():
        typer.echo(copy_pocket_model(out))
