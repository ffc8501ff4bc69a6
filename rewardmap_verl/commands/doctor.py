"""``rewardmap doctor``: what this installation can run and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from rewardmap_verl.preflight.doctor import Item

__all__ = ["doctor"]

STYLES = {"good": "green", "note": "yellow", "missing": "red"}


def doctor() -> None:
    """Show versions, platform, plugins and devices, and what is missing.

    Ends with code 1 when training cannot run here.
    """
    from rich.console import Console

    from rewardmap_verl.preflight.doctor import can_train, examine_installation

    console = Console()
    with console.status("Looking at the installation (importing verl takes some seconds)"):
        items = list(examine_installation())
    console.print(report_table(items))
    if not can_train(items):
        console.print("[red]Training cannot run here; fix what is marked missing.[/red]")
        raise typer.Exit(1)
    console.print("[green]Nothing is missing for training.[/green]")


def report_table(items: Sequence[Item]) -> Table:
    """The items as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("item", "found", "", "what to do"):
        table.add_column(heading, overflow="fold")
    for item in items:
        state = Text(item.state.value, style=STYLES[item.state.value])
        table.add_row(item.name, Text(item.value), state, Text(item.hint))
    return table
