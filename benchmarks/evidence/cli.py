"""The command line of the study: ``python -m benchmarks.evidence``."""

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
    help="Compare training methods on small maps with the full training stack, by a protocol that "
    "is fixed before the runs.",
)

WORK = Path("runs/evidence")
RESULTS = Path("benchmarks/evidence/results")
BUDGET, CONDITIONS = "small", "conditions"

ProtocolOption = Annotated[
    Path | None, typer.Option("--protocol", help="Protocol to use in place of the study's own.")
]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        help=f"Number and length of runs, from the protocol [{BUDGET}; with a condition: "
        f"{CONDITIONS}].",
    ),
]
ConditionOption = Annotated[
    str | None,
    typer.Option("--condition", help="Another start model or other settings, from the protocol."),
]
WorkOption = Annotated[
    Path | None,
    typer.Option(
        "--work", help=f"Folder for data, models, runs and logs [{WORK} or {WORK}/CONDITION]."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help=f"Folder for results [{RESULTS}/BUDGET or {RESULTS}/CONDITION]."),
]


def _study(
    protocol: Path | None,
    condition: str | None,
    budget: str | None,
    work: Path | None,
    out: Path | None,
) -> Study:
    from benchmarks.evidence.protocol import read_protocol
    from benchmarks.evidence.study import Study

    chosen = read_protocol(protocol)
    if condition is not None:
        chosen = chosen.under(condition)
    budget = budget or (BUDGET if condition is None else CONDITIONS)
    chosen.budget(budget)
    work = work or (WORK if condition is None else WORK / condition)
    return Study(chosen, budget, work, out or RESULTS / (condition or budget))


@evidence.command()
def run(
    protocol: ProtocolOption = None,
    condition: ConditionOption = None,
    budget: BudgetOption = None,
    work: WorkOption = None,
    out: OutOption = None,
    arm: Annotated[
        list[str] | None, typer.Option(help="Run this arm only; may be repeated.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Seeds per arm, in place of the budget's.")
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            min=0,
            help="Runs in parallel; 0: one per core, given 8 GiB of free memory for each.",
        ),
    ] = 0,
) -> None:
    """Run everything that has no result yet: data, models, then every arm with every seed.

    Interrupt with Ctrl-C at any time; the same command resumes with the first unfinished run.

    Example: **python -m benchmarks.evidence run --budget glimpse**
    """
    from benchmarks.evidence.progress import show_progress
    from benchmarks.evidence.runner import default_jobs, run_study

    try:
        study = _study(protocol, condition, budget, work, out)
        trials = study.trials(tuple(arm or ()), seeds)
        with show_progress(trials) as listener:
            run_study(study, trials, listener, jobs or default_jobs())
    except (ConfigError, DataError) as error:
        fail(error)
    except KeyboardInterrupt:
        typer.secho("Interrupted. Run the same command to resume.", err=True, fg="yellow")
        raise typer.Exit(130) from None


@evidence.command()
def status(
    protocol: ProtocolOption = None,
    condition: ConditionOption = None,
    budget: BudgetOption = None,
    work: WorkOption = None,
    out: OutOption = None,
) -> None:
    """Show which runs have a result, and the verdict on each claim so far."""
    from rich.console import Console

    from benchmarks.evidence.document import load_results
    from benchmarks.evidence.progress import claims_table, status_table

    console = Console()
    try:
        study = _study(protocol, condition, budget, work, out)
        console.print(status_table(study))
        results = load_results(study)
    except (ConfigError, DataError) as error:
        fail(error)
    if results.all:
        console.print(claims_table(study, results))


@evidence.command()
def doc(
    protocol: ProtocolOption = None,
    budget: BudgetOption = None,
    work: WorkOption = None,
    out: OutOption = None,
    page: Annotated[
        Path, typer.Option(help="Markdown page to update; figures go beside it.")
    ] = Path("docs/evidence.md"),
) -> None:
    """Write protocol, tables and figures into a page, from the result files."""
    from rich.console import Console

    from benchmarks.evidence.document import write_page

    try:
        written = write_page(_study(protocol, None, budget, work, out), page)
    except (ConfigError, DataError) as error:
        fail(error)
    for path in written:
        Console().print(f"{path}", highlight=False)


@evidence.command()
def when(
    protocol: ProtocolOption = None,
    results: Annotated[Path, typer.Option(help="Folder with the results of each study.")] = RESULTS,
    page: Annotated[
        Path, typer.Option(help="Markdown page to update; the figure goes beside it.")
    ] = Path("docs/when-it-helps.md"),
) -> None:
    """Write the gains of reward and curriculum into a page, by condition.

    The protocol's own settings are the first condition; conditions without results are left out.
    """
    from rich.console import Console

    from benchmarks.evidence.document import write_gains

    try:
        own = _study(protocol, None, None, None, results / BUDGET)
        others = {
            name: _study(protocol, name, None, None, results / name)
            for name in own.protocol.conditions
        }
        written = write_gains({"as in the study": own, **others}, page)
    except (ConfigError, DataError) as error:
        fail(error)
    for path in written:
        Console().print(f"{path}", highlight=False)


@evidence.command("protocol")
def show_protocol() -> None:
    """Print the study's protocol, as a template for your own (`--protocol FILE`)."""
    typer.echo(Path(__file__).with_name("protocol.yaml").read_text(encoding="utf-8"), nl=False)
