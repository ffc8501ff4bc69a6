"""``rewardmap prepare``: one subcommand for each source of maps."""

from __future__ import annotations

import typer

from rewardmap_verl.commands.prepare.gtfs import gtfs
from rewardmap_verl.commands.prepare.local import local
from rewardmap_verl.commands.prepare.reasonmap import reasonmap
from rewardmap_verl.commands.prepare.synthetic import synthetic

__all__ = ["prepare"]

prepare = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@prepare.callback()
def _prepare() -> None:
    """Turn maps and networks into the data folder that training reads.

    The folder contains train.parquet and test.parquet in verl's row format, the map images resized
    to the model's pixel budget, the networks, and a manifest. Test cities are never trained on. The
    same input and seed give the same bytes, and a folder that is up to date is left as it is.

    Start with **rewardmap prepare synthetic --out data/synthetic**, which needs no input.
    """


prepare.command()(synthetic)
prepare.command()(local)
prepare.command()(reasonmap)
prepare.command()(gtfs)
