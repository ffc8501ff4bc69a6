"""``rewardmap benchmarks``: the paper's six other benchmarks, through VLMEvalKit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["benchmarks"]

benchmarks = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="SEED-Bench-2-Plus (map), SpatialEval, V*, HRBench, ChartQA and MMStar with VLMEvalKit.",
)


@benchmarks.command()
def entry(
    model: Annotated[Path, typer.Argument(help="Folder of a merged model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the two files.")] = Path(
        "benchmarks_run"
    ),
    name: Annotated[str, typer.Option(help="Name of the model in the results.")] = "rewardmap",
) -> None:
    """Write VLMEvalKit's configuration for a trained model, and a script that runs it.

    Then: **VLMEVALKIT=~/VLMEvalKit GPUS=8 ./benchmarks_run/rewardmap.sh**
    """
    from rewardmap_verl.evaluation.benchmarks import write_entry

    with readable_errors():
        files = write_entry(model, out, name)
    for file in files:
        typer.echo(str(file))


@benchmarks.command()
def results(
    work_dir: Annotated[
        Path, typer.Argument(help="VLMEvalKit's --work-dir, or the folder of one model in it.")
    ],
    name: Annotated[
        list[str] | None, typer.Option(help="A model to show; repeatable. Default: all.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for table2.md, table2.tex and table2.json."),
    ] = None,
    published: Annotated[
        bool, typer.Option(help="Also show the published metrics of table 2.")
    ] = True,
) -> None:
    """Show VLMEvalKit's results as the rows of RewardMap's table 2.

    Try it: **rewardmap benchmarks results benchmarks_run/outputs --out tables**
    """
    from rich.console import Console

    from rewardmap_verl.evaluation.benchmarks import benchmark_columns, read_results
    from rewardmap_verl.evaluation.published import published_metrics
    from rewardmap_verl.evaluation.results import write_table
    from rewardmap_verl.evaluation.tables import main_table, published_rows

    with readable_errors():
        rows, notes = read_results(work_dir, name or ())
        if published:
            rows += published_rows(published_metrics(), ["benchmarks"], benchmark_columns())
        files = write_table(out, "table2", rows, benchmark_columns()) if out else []
    console = Console()
    console.print(main_table(rows, "Other benchmarks, in percent", benchmark_columns()))
    if published:
        console.print(f"Dim rows: {published_metrics().sources[-1]}.", soft_wrap=True)
    for note in notes:
        console.print(note, style="yellow", soft_wrap=True, markup=False)
    for file in files:
        console.print(f"Written: {file}", soft_wrap=True, markup=False, highlight=False)
