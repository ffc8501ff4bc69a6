"""``python -m benchmarks.evidence``: the paper's claim in small; a protocol that runs and reports itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from benchmarks.evidence.study import Study

__all__ = ["evidence"]

evidence = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Compare the ways of training on small maps with the real stack, by a protocol that is "
    "written down first.",
)

ProtocolOption = Annotated[
    Path | None, typer.Option("--protocol", help="Another protocol than the package's own.")
]
BudgetOption = Annotated[str, typer.Option("--budget", help="How much is run; see the protocol.")]
WorkOption = Annotated[Path, typer.Option("--work", help="Folder of data, models, runs and logs.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder of the results [benchmarks/evidence/results/BUDGET]."),
]
WORK = Path("runs/evidence")
RESULTS = Path("benchmarks/evidence/results")


def _study(protocol: Path | None, budget: str, work: Path, out: Path | None) -> Study:
    from benchmarks.evidence.protocol import read_protocol
    from benchmarks.evidence.study import Study

    study = Study(read_protocol(protocol), budget, work, out or RESULTS / budget)
    study.protocol.budget(budget)
    return study


@evidence.command()
def run(
    protocol: ProtocolOption = None,
    budget: BudgetOption = "small",
    work: WorkOption = WORK,
    out: OutOption = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm; repeat it.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Runs of each arm, in place of the budget's.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=0,
            help="Runs at a time; 0: one for each core, as far as 8 GiB of memory for each allow.",
        ),
    ] = 0,
) -> None:
    """Run what is missing: data, models, then every arm with every seed.

    May be ended at any time (Ctrl-C); called again it goes on with the run that was not finished.

    Try it: **rewardmap evidence run --budget glimpse**
    """
    from benchmarks.evidence.progress import shown
    from benchmarks.evidence.runner import jobs_of_machine, run_study

    try:
        study = _study(protocol, budget, work, out)
        trials = study.trials(tuple(arm or ()), seeds)
        with shown(trials) as watcher:
            run_study(study, trials, watcher, jobs or jobs_of_machine())
    except (ConfigError, DataError) as error:
        fail(error)
    except KeyboardInterrupt:
        typer.secho("Ended; the same command goes on from here.", err=True, fg="yellow")
        raise typer.Exit(130) from None


@evidence.command()
def status(
    protocol: ProtocolOption = None,
    budget: BudgetOption = "small",
    work: WorkOption = WORK,
    out: OutOption = None,
) -> None:
    """Show which runs have a result, and what they say about the claims so far."""
    from rich.console import Console

    from benchmarks.evidence.document import load_results
    from benchmarks.evidence.progress import claims_table, status_table

    console = Console()
    try:
        study = _study(protocol, budget, work, out)
        console.print(status_table(study))
        results = load_results(study)
    except (ConfigError, DataError) as error:
        fail(error)
    if results.all:
        console.print(claims_table(study, results))


@evidence.command()
def doc(
    protocol: ProtocolOption = None,
    budget: BudgetOption = "small",
    work: WorkOption = WORK,
    out: OutOption = None,
    page: Annotated[
        Path, typer.Option(help="Markdown file to write into; pictures go beside it.")
    ] = Path("docs/evidence.md"),
) -> None:
    """Write protocol, tables and figures into a page, from the files of results alone."""
    from rich.console import Console

    from benchmarks.evidence.document import write_page

    try:
        written = write_page(_study(protocol, budget, work, out), page)
    except (ConfigError, DataError) as error:
        fail(error)
    for path in written:
        Console().print(f"{path}", highlight=False)


@evidence.command("protocol")
def show_protocol() -> None:
    """Print the protocol of the package: a start for one of your own (`--protocol FILE`)."""
    from importlib.resources import files

    text = (files("benchmarks.evidence") / "protocol.yaml").read_text(encoding="utf-8")
    typer.echo(text, nl=False)
