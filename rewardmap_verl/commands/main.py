"""Assembles the program ``rewardmap`` from the files of this folder."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from rewardmap_verl.commands.prepare import prepare

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", add_completion=False)


def show_version(wanted: bool) -> None:
    """Print the installed version and stop."""
    if wanted:
        typer.echo(f"rewardmap-verl {version('rewardmap-verl')}")
        raise typer.Exit()


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train vision-language models on transit maps with verl."""


app.command()(prepare)
