"""``rewardmap check-merge``: is a merged model the trained one?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.reward_options import fail
from rewardmap_verl.errors import DataError

__all__ = ["check_merge"]

_SHOWN = 5


def check_merge(
    checkpoint: Annotated[
        Path, typer.Argument(help="Folder of the run (its newest checkpoint), or a global_step_N.")
    ],
    model: Annotated[Path, typer.Argument(help="The merged folder.")],
) -> None:
    """Compare a merged model with its checkpoint, tensor by tensor.

    The merged folder is loaded as a user loads it. Numbers must be equal in the format that it
    keeps them in. Ends with 1 when the two are not one model.

    Try it: **rewardmap check-merge runs/synthetic runs/synthetic/merged**
    """
    from rewardmap_verl.reports.merged import compare_with_checkpoint

    try:
        found = compare_with_checkpoint(checkpoint, model)
    except DataError as error:
        fail(error)
    for text, names in (
        ("missing in the merged model", found.missing),
        ("not in the checkpoint", found.strange),
        ("different", found.different),
    ):
        for name in names[:_SHOWN]:
            typer.echo(f"{name}: {text}")
        if len(names) > _SHOWN:
            typer.echo(f"… and {len(names) - _SHOWN} more")
    typer.echo(f"{found.tensors} tensors are equal" + ("" if found.same else ", and not all"))
    if not found.same:
        raise typer.Exit(1)
