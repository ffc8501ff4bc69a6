"""``rewardmap report``: a web page about one run or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.commands.reward_options import ConfigOption, SetOption
from rewardmap_verl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["report"]


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs; several are compared side by side.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder to write; default: `report` in the first run."),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="A prepared folder; repeatable. Default: those of the run."),
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of TensorBoard files; repeatable. verl's folder is found."),
    ] = None,
    evaluation: Annotated[
        list[Path] | None,
        typer.Option(help="A folder of `rewardmap evaluate`, to show its table; repeatable."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write a web page about one run, or about several side by side.

    It has curves with marked stages, tables of results, and every dumped answer with its map, the
    breakdown of its reward, and its route beside the gold route. Open `index.html` in a browser; it
    needs neither server nor network. A run in progress is shown up to its last step.

    Try it: **rewardmap report runs/synthetic**
    """
    from rich.console import Console

    from rewardmap_verl.commands.reward_options import load_settings
    from rewardmap_verl.reports.report import write_report

    console = Console(stderr=True)
    try:
        settings = load_settings(config, set_) if config or set_ else None
        with _progress(console) as start:
            done = write_report(
                runs,
                output or runs[0] / "report",
                data=data or (),
                logs=logs or (),
                evaluations=evaluation or (),
                config=settings,
                start=start,
            )
    except (DataError, ConfigError) as error:
        fail(error)
    for note in done.notes:
        console.print(note, style="yellow", markup=False, highlight=False)
    console.print(
        f"{len(done.runs)} run{'s' * (len(done.runs) != 1)}, {done.groups:,} groups, "
        f"{done.answers:,} answers: open",
        highlight=False,
    )
    typer.echo(done.page)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """Show a progress bar as soon as the number of answers is known."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress("answers explained", *columns, console=console, transient=True) as bar:

        def start(answers: int) -> Callable[[int], None]:
            task = bar.add_task("answers", total=answers)
            return lambda done: bar.advance(task, done)

        yield start
