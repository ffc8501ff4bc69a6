"""``rewardmap validate``: is a prepared folder whole, and is every gold answer right?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.validate import faults

__all__ = ["validate"]

_SHOWN = 20


def validate(
    folder: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    answers: Annotated[
        bool, typer.Option(help="Score the perfect answer of every row, too; no model is needed.")
    ] = True,
) -> None:
    """Check a prepared folder.

    Every file must have the bytes that the manifest recorded, every row an image and a network, and
    the perfect answer of every row must earn the highest reward that its question allows. Exit code
    0 when all is well, 1 otherwise.
    """
    console = Console()
    with readable_errors():
        found = list(faults(folder, answers))
        manifest = read_manifest(folder)
    for fault in found[:_SHOWN]:
        console.print(f"[red]✗[/] {escape(fault)}", soft_wrap=True)
    if len(found) > _SHOWN:
        console.print(f"… and {len(found) - _SHOWN:,} more")
    if found:
        console.print(f"{len(found):,} faults. Prepare the folder again with `rewardmap prepare`.")
        raise typer.Exit(1)
    rows = " and ".join(f"{count:,} {split} rows" for split, count in manifest.rows.items())
    console.print(f"[green]✓[/] {escape(str(folder))} is whole: {rows}, {len(manifest.maps)} maps.")
