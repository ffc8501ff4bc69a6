"""``rewardmap report``: a web page about one run or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.reward_options import ConfigOption, SetOption

if TYPE_CHECKING:
    from rich.console import Console

    from rewardmap_verl.reports.report import Report

__all__ = ["report"]


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of runs or of `rewardmap evaluate`, or files of answers, such as the "
            "output of `rewardmap score`; several are compared side by side."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder to write; default: `report` in the first run, or beside its file.",
        ),
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
    curve: Annotated[
        Path | None,
        typer.Option(
            help="Write only this picture (.svg, .png, .pdf): held-out accuracy of each type over "
            "the steps of the run, with intervals, majority answers and stages."
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help="Write the report again whenever the run has new steps, until Ctrl-C; an open "
            "page follows.",
        ),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
) -> None:
    """Write a web page about one run, or about several side by side.

    A folder of several runs gives a list of them, with links to their reports.

    It has curves with marked stages, tables of results, and every dumped answer with its map, the
    breakdown of its reward, and its route beside the gold route. Open `index.html` in a browser; it
    needs neither server nor network. A run in progress is shown up to its last step.

    Try it: **rewardmap report runs/synthetic**

    A run in progress: **rewardmap report runs/synthetic --watch**

    The learning curve as a picture: **rewardmap report runs/synthetic --curve curve.svg**
    """
    from rich.console import Console

    from rewardmap_verl.commands.reward_options import load_settings
    from rewardmap_verl.reports.report import write_report
    from rewardmap_verl.reports.run_list import find_runs, write_run_list

    console = Console(stderr=True)
    with readable_errors():
        if curve is not None:
            typer.echo(_write_curve(runs, curve))
            return
        if len(runs) == 1 and len(found := find_runs(runs[0])) > 1:
            typer.echo(write_run_list(runs[0], found, output or runs[0] / "report"))
            return
        settings = load_settings(config, set_) if config or set_ else None

        def write() -> Report:
            with _progress(console) as start:
                return write_report(
                    runs,
                    output or _default_output(runs[0]),
                    data=data or (),
                    logs=logs or (),
                    evaluations=evaluation or (),
                    config=settings,
                    start=start,
                    watched=watch,
                )

        if watch:
            _follow(runs, write, console)
        _show(write(), console)


def _default_output(run: Path) -> Path:
    return run.with_name(f"{run.stem}-report") if run.is_file() else run / "report"


def _follow(runs: list[Path], write: Callable[[], Report], console: Console) -> NoReturn:
    """Write a report again and again, until Ctrl-C."""
    from rewardmap_verl.reports.watch import new_states

    try:
        for state in new_states(runs):
            if not state:
                console.print("waiting for the first step", highlight=False)
                continue
            _show(write(), console)
    except KeyboardInterrupt:
        pass
    raise typer.Exit(130)


def _write_curve(runs: list[Path], curve: Path) -> Path:
    from rewardmap_verl.reports.held_out import read_baselines
    from rewardmap_verl.reports.learning_curve import draw_learning_curves, learning_curves, visits
    from rewardmap_verl.reports.runs import read_run

    if len(runs) > 1:
        raise typer.BadParameter("--curve draws one run.")
    run = read_run(runs[0])
    baselines = read_baselines(run.config)
    curves = learning_curves(run.entries, baselines.majority if baselines else None)
    draw_learning_curves(curves, visits(run.entries), curve)
    return curve


def _show(done: Report, console: Console) -> None:
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
