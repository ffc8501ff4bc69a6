"""``rewardmap audit``: the best wrong answers that can be built, and whether one pays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.commands.reward_options import ConfigOption, SetOption
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.rewards.rows import (
    NetworkFolder,
    QuestionRow,
    read_json_lines,
    read_prepared,
    read_row,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rewardmap_verl.rewards.audit import AuditGroup

__all__ = ["audit"]

_BREACHES_SHOWN = 10


def audit(
    data: Annotated[
        Path, typer.Argument(help="Folder of prepared data, or JSON lines with questions.")
    ],
    networks: Annotated[
        Path | None, typer.Option(help="JSON lines: the folder of networks, COUNTRY/CITY.json.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Questions to attack of each type and number of transfers.")
    ] = 20,
    tries: Annotated[
        int, typer.Option(min=0, help="Answers that the search tries for each route.")
    ] = 60,
    seed: Annotated[int, typer.Option(help="Draws the questions and the answers.")] = 0,
    show: Annotated[bool, typer.Option(help="Show the best wrong answer of each group.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Search for wrong answers that earn much.

    Tries self-loops, padding, repeats, alternatives, wrong lines, the question itself, all options
    and whatever a search finds, and shows how far the best of them stays below gold. Ends with code
    1 when a property of the reward does not hold.

    Try it: **rewardmap audit data/synthetic --set alpha=0.7**
    """
    from rich.console import Console

    from rewardmap_verl.commands.reward_options import load_settings
    from rewardmap_verl.rewards.audit import audit_questions

    console = Console()
    try:
        settings = load_settings(config, set_)
        groups = list(audit_questions(_questions(data, networks), settings, limit, seed, tries))
    except (DataError, ConfigError) as error:
        fail(error)
    if not groups:
        fail(DataError(data, hint="It holds no question that could be audited."))
    console.print(_table(groups))
    if show:
        _show_closest(groups, console)
    breaches = [breach for g in groups for audit in g.audits for breach in audit.breaches]
    if not breaches:
        console.print("[green]Every property held for every answer that was tried.[/]")
        return
    console.print(f"[red]{len(breaches)} breaches[/]")
    for breach in breaches[:_BREACHES_SHOWN]:
        text = f"{breach.rule}: {breach.where}, {breach.answer.name}\n{breach.answer.text}\n"
        console.print(_plain(text))
    raise typer.Exit(1)


def _questions(data: Path, networks: Path | None) -> Iterator[QuestionRow]:
    """Yield the questions that can be answered; faults of the data are what ``score`` is for.

    Raises:
        DataError: The file or folder cannot be read, or JSON lines come without networks.
    """
    if data.is_dir():
        yield from read_prepared(data)
        return
    if networks is None and data.is_file():
        raise DataError("--networks", hint="Give the folder of networks beside JSON lines.")
    lines = read_json_lines(data)
    shelf = NetworkFolder(networks or data)
    seen: set[str] = set()
    for line in lines:
        try:
            row = read_row(line, shelf)
        except DataError as fault:
            typer.secho(f"Passed over: {fault}", err=True, fg="yellow")
            continue
        if (key := row.truth.to_json()) not in seen:  # a dump has each question many times
            seen.add(key)
            yield row


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _table(groups: list[AuditGroup]) -> Table:
    from rich.table import Table

    table = Table(title="The best wrong answer of each group", box=None, title_justify="left")
    for heading in ("type", "transfers", "questions", "gold", "wrong", "margin"):
        table.add_column(heading, justify="left" if heading == "type" else "right")
    table.add_column("how", overflow="fold")
    for group in groups:
        closest = group.closest
        table.add_row(
            group.type.value,
            str(group.transfers) if group.audits[0].row.truth.is_planning else "",
            str(len(group.audits)),
            f"{closest.gold.score.score:.2f}",
            f"{closest.best_wrong.score.score:.2f}",
            f"{closest.margin:.0%}",
            _plain(closest.best_wrong.name),
        )
    return table


def _show_closest(groups: list[AuditGroup], console: Console) -> None:
    for group in groups:
        wrong, row = group.closest.best_wrong, group.closest.row
        console.print(
            _plain(
                f"\n{group.type.value}, {row.truth.place(row.where)}: {wrong.name}\n{wrong.text}"
            )
        )
