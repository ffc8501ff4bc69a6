"""``rewardmap explain``: explain the reward of an answer."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.output_format import Format, FormatOption, plain_text, write_json
from rewardmap_verl.commands.reward_options import (
    ConfigOption,
    DataOption,
    NetworksOption,
    SetOption,
)
from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import read_text
from rewardmap_verl.rewards.response_text import response_text
from rewardmap_verl.rewards.rows import (
    MISSING,
    JsonLine,
    QuestionRow,
    read_json_lines,
    read_row,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rewardmap_verl.rewards.explain import Check, Explanation

__all__ = ["explain"]


def explain(
    rows: Annotated[
        Path,
        typer.Argument(
            help="JSON Lines file with questions and responses, a rollout dump, or a folder of "
            "`rewardmap evaluate` or of dumps."
        ),
    ],
    networks: NetworksOption = None,
    data: DataOption = None,
    row: Annotated[
        str,
        typer.Option(
            help="Row to explain: its id or its 1-based line number; of evaluated answers, the "
            "question's row in the split."
        ),
    ] = "",
    response: Annotated[
        Path | None,
        typer.Option(help="File with another answer to explain; - for standard input."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Explain the reward of one answer.

    Shows what was read, the check of each leg against the network, the credit of every item with
    its reason, the total, and a perfect answer. Of a trajectory that zooms, it shows the turns; the
    last one is scored.

    Example: **rewardmap explain answers.jsonl --networks data/networks --row 3**
    """
    from rich.console import Console

    from rewardmap_verl.commands.reward_options import load_settings
    from rewardmap_verl.rewards.explain import explain_answer

    with readable_errors():
        settings = load_settings(config, set_)
        chosen = _chosen(rows, row, networks, data)
        answer = _answer(chosen, response)
        found = explain_answer(answer, chosen.truth, chosen.network, settings)
    if format is Format.JSON:
        write_json(asdict(found))
        return
    console = Console()
    if response is None:
        _show_turns(chosen, console)
    show(found, console)


def _chosen(path: Path, row: str, networks: Path | None, data: Path | None) -> QuestionRow:
    """Return a row with its question; the first one by default.

    Raises:
        DataError: There is no such row, or its question is not found.
        ConfigError: The networks are needed and not given.
    """
    from rewardmap_verl.commands.reward_options import networks_of
    from rewardmap_verl.evaluation.logged_rows import is_answer_log, logged_rows
    from rewardmap_verl.evaluation.saved import find_saved

    path = find_saved(path)
    if not is_answer_log(path):
        return read_row(_find(path, row or "1"), networks_of(path, networks, data))
    for index, found in logged_rows(path, data):
        if row in ("", str(index)):
            return found
    raise DataError(path, "row", row, "Give the question's row in the split, starting at 0.")


def _show_turns(row: QuestionRow, console: Console) -> None:
    """Print the turns of a trajectory; nothing for an answer of one turn."""
    from rewardmap_verl.zoom.turns import read_turns

    turns = read_turns(row.trajectory)
    for number, turn in enumerate(turns if len(turns) > 1 else (), 1):
        console.print(plain_text(f"Turn {number}, {turn.speaker}", "bold"))
        console.print(plain_text(f"{turn.text}\n"))


def _find(path: Path, wanted: str) -> JsonLine:
    """Return the line with a given id or line number; the id takes precedence.

    Raises:
        DataError: There is no such line.
    """
    by_number: JsonLine | None = None
    for line in read_json_lines(path):
        if line.id is not None and str(line.id) == wanted:
            return line
        if str(line.number) == wanted:
            by_number = line
    if by_number is None:
        raise DataError(path, "row", wanted, "Give a line number, starting at 1, or an id.")
    return by_number


def _answer(row: QuestionRow, file: Path | None) -> object:
    if file is not None:
        return sys.stdin.read() if str(file) == "-" else read_text(file)
    if row.response is MISSING:
        raise DataError(row.where, "response", "nothing", "Pass an answer with --response FILE.")
    return response_text(row.response, row.where)


def show(found: Explanation, console: Console) -> None:
    """Print an explanation."""
    console.print(plain_text(found.question, "bold"))
    _show_checks("What was read", found.read, console)
    _show_checks("What was checked", found.checks, console)
    if found.items:
        console.print(_items_table(found))
    console.print(_parts_table(found))
    verdict = "correct" if found.score.acc else "wrong"
    console.print(
        plain_text(
            f"{verdict}: {found.score.score:.4g} of {found.highest:.4g} "
            f"(weight {found.score.weight:.4g})",
            "bold green" if found.score.acc else "bold red",
        )
    )
    if found.perfect and found.score.score < found.highest:
        console.print(plain_text("\nA perfect answer", "bold"))
        console.print(plain_text(found.perfect))


def _show_checks(title: str, checks: tuple[Check, ...], console: Console) -> None:
    if checks:
        console.print(plain_text(f"\n{title}", "bold"))
    for check in checks:
        mark = "[green]✓[/] " if check.good else "[red]✗[/] "
        console.print(mark, plain_text(check.text), sep="", soft_wrap=True)


def _table(title: str, *headings: str) -> Table:
    from rich.table import Table

    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None)
    for number, heading in enumerate(headings):
        right = 0 < number < len(headings) and heading != "why"
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    return table


def _items_table(found: Explanation) -> Table:
    table = _table("Detail reward", "item", "earned", "worth", "why")
    for item in found.items:
        worth = f"{item.worth:.4g}" if item.worth else "-"
        table.add_row(item.name, f"{item.credit:.4g}", worth, plain_text(item.reason))
    return table


def _parts_table(found: Explanation) -> Table:
    table = _table("Reward", "part", "value", "maximum", "factor", "weighted")
    for part in found.parts:
        weighted = part.value * part.times * found.score.weight
        values = (part.value, part.highest, part.times, weighted)
        table.add_row(part.name, *(f"{value:.4g}" for value in values))
    return table
