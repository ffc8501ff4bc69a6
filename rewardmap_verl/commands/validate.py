"""``rewardmap validate``: check that a prepared folder is complete and its gold answers right."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.output_format import Format, FormatOption, write_json
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.validate import faults

__all__ = ["validate"]

_FAULTS_SHOWN = 20
_MAX_FAULTS = 1000  # a damaged file can have one in each of a billion rows


def validate(
    folder: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    answers: Annotated[
        bool, typer.Option(help="Score the perfect answer of every row; this needs no model.")
    ] = True,
    format: FormatOption = Format.TABLE,
) -> None:
    """Check a prepared folder.

    Every file must have the bytes that the manifest recorded, every row must have an image and a
    network, and its perfect answer must earn the highest reward that the question allows. The exit
    code is 0 without faults and 1 otherwise.

    Example: **rewardmap validate data/synthetic**
    """
    console = Console()
    with readable_errors():
        found = list(islice(faults(folder, answers), _MAX_FAULTS))
        manifest = read_manifest(folder)
    if format is Format.JSON:
        write_json({"faults": found, "rows": manifest.rows, "maps": len(manifest.maps)})
        raise typer.Exit(bool(found))
    for fault in found[:_FAULTS_SHOWN]:
        console.print(f"[red]✗[/] {escape(fault)}", soft_wrap=True)
    if len(found) > _FAULTS_SHOWN:
        console.print(f"… and {len(found) - _FAULTS_SHOWN:,} more")
    if found:
        more = " or more" if len(found) == _MAX_FAULTS else ""
        console.print(
            f"{len(found):,}{more} faults. Prepare the folder again with `rewardmap prepare`."
        )
        raise typer.Exit(1)
    rows = " and ".join(f"{count:,} {split} rows" for split, count in manifest.rows.items())
    name = escape(str(folder))
    console.print(f"[green]✓[/] {name} is complete: {rows}, {len(manifest.maps)} maps.")
