"""``rewardmap evaluate``: the papers' metrics of a model or of saved answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.generation_options import LOG_NAME, GenerationOptions
from rewardmap_verl.commands.option_groups import option_groups
from rewardmap_verl.commands.server_options import ServerOptions

if TYPE_CHECKING:
    from rich.console import Console

    from rewardmap_verl.evaluation.results import Evaluation, Results
    from rewardmap_verl.launch.answer_progress import AnswerProgress

__all__ = ["evaluate"]


@option_groups
def evaluate(
    server: ServerOptions,
    generating: GenerationOptions,
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of a model or its name on the hub; or saved answers: ours (JSON lines), "
            "VLMEvalKit's file or folder, verl's validation_data_dir or one STEP.jsonl of it; "
            "or a baseline: random, majority, planner, gold; or a model of a server: URL#MODEL."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Folder written by `rewardmap prepare`. With --endpoint it is the only argument."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data: test or train.")] = "test",
    against: Annotated[
        str | None,
        typer.Option(help="A second source, compared with the first by a paired test."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for results and answers; default: outputs/evaluation/NAME."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the first source in the tables.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, help="Evaluate only the first LIMIT questions."),
    ] = None,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Skip answers to other questions, and take the later of two answers to one "
            "question; both are errors by default.",
        ),
    ] = False,
    baselines: Annotated[
        bool, typer.Option(help="Add rows: random, majority, planner, gold.")
    ] = True,
    published: Annotated[
        bool | None,
        typer.Option(
            help="Add rows of published metrics; by default only for the published questions "
            "(prepare reasonmap)."
        ),
    ] = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="Show every metric: parts, types, levels, cities.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(help="YAML with other difficulty weights (docs/evaluation.md)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of intervals, tests and random baseline.")] = 0,
) -> None:
    """Measure a model as the papers do: weighted accuracy, map score, ReasonMap-Plus.

    vLLM generates the answers with greedy decoding. Answers are written to disk batch by batch:
    after a crash, run the same command again and it resumes. Baselines and published metrics are
    shown beside yours, with 95% intervals.

    Try it without a model: **rewardmap evaluate planner data/synthetic**

    A trained model: **rewardmap evaluate runs/synthetic/merged data/synthetic**

    Before and after: **rewardmap evaluate runs/x/merged data/x --against runs/x/model**

    A validation of a run: **rewardmap evaluate runs/x/validation data/x**

    A model of any OpenAI-compatible server, with the key in OPENAI_API_KEY:
    **rewardmap evaluate --endpoint http://localhost:8000/v1 --model NAME data/x**
    """
    from rich.console import Console

    from rewardmap_verl.evaluation.endpoint import is_endpoint
    from rewardmap_verl.evaluation.evaluator import Evaluator
    from rewardmap_verl.evaluation.inference import check_model
    from rewardmap_verl.evaluation.questions import read_questions
    from rewardmap_verl.evaluation.results import write_results
    from rewardmap_verl.evaluation.sources import AnswerSources, is_model
    from rewardmap_verl.evaluation.weights import load_weights

    with _reported_errors():
        generation = generating.generation()
        source, folder_of_data = server.source_and_data(source, data)
        table = load_weights(weights)
        questions = read_questions(folder_of_data, split).first(limit)
        masks = generating.masks()
        sources = AnswerSources(
            questions,
            generation,
            generating.batch_size,
            seed,
            lenient,
            endpoint=server.options(),
        )
        title = name or sources.default_name(source)
        folder = out or Path("outputs", "evaluation") / title.replace("/", "-")
        asked = [one for one in (source, against) if one is not None and is_model(one)]
        local = [one for one in asked if not is_endpoint(one)]
        for model in local:
            check_model(model)  # before a log is written
        wanted = len(questions.items) * (len(asked) + len(masks))
        with _progress(folder / LOG_NAME, wanted, generating.verbose or not local) as progress:
            sources = replace(sources, progress=progress)
            evaluator = Evaluator(sources, table)
            masked = evaluator.evaluate_masked(source, title, folder, masks)
            found = evaluator.evaluate_pair(source, against, title, folder, generating.answers)
        rows = evaluator.evaluate_baselines({source, against}) if baselines else []
        results = replace(_results(found, rows, published, seed), masked=masked)
        files = write_results(folder, results)
    console = Console()
    _show(console, results, detail)
    written = f"Written: {', '.join(str(file) for file in files)}"
    console.print(written, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def _reported_errors() -> Iterator[None]:
    """Report bad input and interruptions in one line."""
    try:
        with readable_errors():
            yield
    except KeyboardInterrupt:
        typer.secho("Interrupted. Run the same command again to resume.", err=True)
        raise typer.Exit(130) from None


def _results(
    found: list[Evaluation], baselines: list[Evaluation], published: bool | None, seed: int
) -> Results:
    """Put everything that the tables show together; a pair is compared."""
    from rewardmap_verl.evaluation.results import Results
    from rewardmap_verl.evaluation.summary import compare_verdicts

    pair = len(found) > 1
    compared = compare_verdicts(found[0].verdicts, found[1].verdicts, seed) if pair else {}
    beside = found[0].questions.source == "reasonmap" if published is None else published
    return Results(found, baselines, compared, beside, seed)


@contextmanager
def _progress(log: Path, total: int, verbose: bool) -> Iterator[AnswerProgress]:
    """Show how many questions are answered, and write what libraries print to a log.

    Args:
        log: The log.
        total: Answers that are wanted.
        verbose: Show what libraries print, and write no log.
    """
    from rewardmap_verl.launch.answer_progress import AnswerProgress
    from rewardmap_verl.launch.display import Display
    from rewardmap_verl.launch.quiet import quiet_output

    with quiet_output(log, verbose) as console, Display(console) as display:
        if not verbose:
            display.line(f"Complete output: {log}")
        yield AnswerProgress(display, total)


def _show(console: Console, results: Results, detail: bool) -> None:
    from rewardmap_verl.evaluation.tables import comparison_table, detail_table, main_tables

    found, questions = results.evaluations, results.evaluations[0].questions
    title = f"{questions.name}: {len(questions.items)} questions"
    for table in main_tables(results.rows(), title, console.width):
        console.print(table)
    console.print("Weighted by difficulty; 95% bootstrap intervals below each metric.")
    if results.published:
        console.print("Dim rows are published.")
    for note in results.notes():
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    for one in (*found, *results.masked):
        for note in one.notes:
            text = f"{one.name}: {note}"
            console.print(text, style="yellow", soft_wrap=True, markup=False, highlight=False)
        if detail:
            console.print(detail_table(one.summary))
    if results.compared:
        console.print(comparison_table(found[0].name, found[1].name, results.compared))
