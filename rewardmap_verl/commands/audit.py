"""``rewardmap audit``: search for wrong answers that score too high, and for leaking questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardmap_verl.commands.failure import fail, readable_errors
from rewardmap_verl.commands.output_format import Format, FormatOption, plain_text, write_json
from rewardmap_verl.commands.reward_options import ConfigOption, SetOption
from rewardmap_verl.errors import DataError
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
    from rewardmap_verl.rewards.leaks import Leak

__all__ = ["audit"]

_BREACHES_SHOWN = 10


def audit(
    data: Annotated[
        Path, typer.Argument(help="Prepared folder, or JSON Lines file with questions.")
    ],
    networks: Annotated[
        Path | None,
        typer.Option(help="Folder of networks, COUNTRY/CITY.json; required with JSON Lines."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", "-n", min=1, help="Questions to attack per type and number of transfers."
        ),
    ] = 20,
    tries: Annotated[int, typer.Option(min=0, help="Search steps per route.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed for drawing questions and attacks.")] = 0,
    show: Annotated[bool, typer.Option(help="Print the best wrong answer of each group.")] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Search for wrong answers that score too high, and measure what text alone gives away.

    Tries self-loops, padding, repetition, alternatives, wrong lines, the question itself, all
    options and a local search, and reports how far the best wrong answer stays below gold. Exits
    with code 1 if a guarantee of the reward is violated.

    A second table shows for each type how well the best policy answers that never sees a map: it
    learns from the text of some cities and answers the questions of the others.

    Example: **rewardmap audit data/synthetic --set alpha=0.7**
    """
    from rich.console import Console

    from rewardmap_verl.commands.reward_options import load_settings
    from rewardmap_verl.rewards.audit import audit_questions
    from rewardmap_verl.rewards.leaks import LeakSample, measure_leaks

    console = Console()
    with readable_errors():
        settings = load_settings(config, set_)
        sample = LeakSample(seed)
        rows = sample.watch(_questions(data, networks))
        groups = list(audit_questions(rows, settings, limit, seed, tries))
        leaks = measure_leaks(sample.rows, settings)
    if not groups:
        fail(DataError(data, hint="There is no valid question to audit."))
    breaches = [breach for g in groups for audit in g.audits for breach in audit.breaches]
    if format is Format.JSON:
        write_json(
            {
                "groups": [_as_json(group) for group in groups],
                "leaks": [asdict(leak) for leak in leaks],
                "breaches": [asdict(breach) for breach in breaches],
            }
        )
        raise typer.Exit(bool(breaches))
    console.print(_table(groups))
    console.print(_leak_table(leaks))
    if show:
        _show_closest(groups, console)
    if not breaches:
        console.print("[green]All guarantees hold for every answer that was tried.[/]")
        return
    console.print(f"[red]{len(breaches)} breaches[/]")
    for breach in breaches[:_BREACHES_SHOWN]:
        text = f"{breach.rule}: {breach.where}, {breach.answer.name}\n{breach.answer.text}\n"
        console.print(plain_text(text))
    raise typer.Exit(1)


def _as_json(group: AuditGroup) -> dict[str, Any]:
    """Return a group's questions with the rewards of the gold and of the best wrong answer."""
    return {
        "type": str(group.type),
        "transfers": group.transfers,
        "questions": [
            {
                "where": audit.row.where,
                "gold": audit.gold.score.score,
                "best_wrong": {
                    "name": audit.best_wrong.name,
                    "text": audit.best_wrong.text,
                    "score": audit.best_wrong.score.score,
                },
            }
            for audit in group.audits
        ],
    }


def _questions(data: Path, networks: Path | None) -> Iterator[QuestionRow]:
    """Yield the valid questions of a prepared folder or a JSON Lines file.

    Invalid rows are reported and skipped; duplicate questions are skipped.

    Raises:
        DataError: The file or folder cannot be read, or networks are missing.
    """
    if data.is_dir():
        yield from read_prepared(data)
        return
    if networks is None and data.is_file():
        raise DataError("--networks", hint="Give the folder of networks for a JSON Lines file.")
    lines = read_json_lines(data)
    folder = NetworkFolder(networks or data)
    seen: set[str] = set()
    for line in lines:
        try:
            row = read_row(line, folder)
        except DataError as fault:
            typer.secho(f"Skipped: {fault}", err=True, fg="yellow")
            continue
        if (key := row.truth.to_json()) not in seen:  # a dump repeats each question n times
            seen.add(key)
            yield row


def _table(groups: list[AuditGroup]) -> Table:
    from rich.table import Table

    table = Table(title="Best wrong answer of each group", box=None, title_justify="left")
    for heading in ("type", "transfers", "questions", "gold", "wrong", "margin"):
        table.add_column(heading, justify="left" if heading == "type" else "right")
    table.add_column("attack", overflow="fold")
    for group in groups:
        closest = group.closest
        table.add_row(
            group.type.value,
            str(group.transfers) if group.audits[0].row.truth.is_planning else "",
            str(len(group.audits)),
            f"{closest.gold.score.score:.2f}",
            f"{closest.best_wrong.score.score:.2f}",
            f"{closest.margin:.0%}",
            plain_text(closest.best_wrong.name),
        )
    return table


def _leak_table(leaks: list[Leak]) -> Table:
    from rich.table import Table

    table = Table(title="\nBest policy without the map", box=None, title_justify="left")
    headings = ("type", "questions", "majority", "accuracy", "±", "above", "reward", "policy")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("type", "policy") else "right")
    for leak in leaks:
        table.add_row(
            leak.type.value,
            str(leak.questions),
            f"{leak.majority:.1%}" if leak.majority else "",
            f"{leak.accuracy:.1%}",
            f"{100 * leak.margin:.1f}",
            f"{100 * leak.excess:+.1f}",
            f"{leak.reward_share:.0%}",
            leak.policy,
        )
    return table


def _show_closest(groups: list[AuditGroup], console: Console) -> None:
    for group in groups:
        wrong, row = group.closest.best_wrong, group.closest.row
        console.print(
            plain_text(
                f"\n{group.type.value}, {row.truth.place(row.where)}: {wrong.name}\n{wrong.text}"
            )
        )
