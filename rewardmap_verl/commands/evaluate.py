"""``rewardmap evaluate``: the papers' figures of a model or of saved answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import fail
from rewardmap_verl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rich.console import Console

    from rewardmap_verl.evaluation.questions import EvalSet
    from rewardmap_verl.evaluation.results import Evaluation
    from rewardmap_verl.evaluation.sources import AnswerSources

__all__ = ["evaluate"]

MODEL = "Asking a model"


def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder of a model or its name on the hub; or saved answers: ours (JSON lines), "
            "VLMEvalKit's file or folder, verl's validation_data_dir or one STEP.jsonl of it; "
            "or a baseline: random, majority, planner, gold."
        ),
    ],
    data: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    split: Annotated[str, typer.Option(help="Which questions: test or train.")] = "test",
    against: Annotated[
        str | None,
        typer.Option(help="A second source, compared with the first by a paired test."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for results and answers; outputs/evaluation/NAME when left out."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the first row.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many questions, for a first look.")
    ] = None,
    lenient: Annotated[
        bool,
        typer.Option(
            "--lenient",
            help="Pass over answers to other questions, and of two answers take the later one; "
            "both are errors otherwise.",
        ),
    ] = False,
    baselines: Annotated[
        bool, typer.Option(help="Rows of random, majority, planner, gold.")
    ] = True,
    published: Annotated[
        bool | None,
        typer.Option(
            help="Rows of published figures; by itself only for the published questions "
            "(prepare reasonmap)."
        ),
    ] = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="Show every figure: parts, types, levels, cities.")
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(help="YAML with other difficulty weights (docs/evaluation.md)."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of intervals, tests and the random baseline.")] = 0,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="File that answers are appended to; OUT/answers.jsonl when left out. What it "
            "holds is not asked again.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    batch_size: Annotated[
        int,
        typer.Option(min=1, help="Questions between two writes.", rich_help_panel=MODEL),
    ] = 64,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Most tokens of an answer.", rich_help_panel=MODEL)
    ] = 2048,
    max_model_len: Annotated[
        int | None,
        typer.Option(help="Most tokens of prompt and answer together.", rich_help_panel=MODEL),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(help="auto, bfloat16, float16 or float32.", rich_help_panel=MODEL),
    ] = "auto",
    gpu_memory_utilization: Annotated[
        float, typer.Option(help="Share of the GPU's memory for vLLM.", rich_help_panel=MODEL)
    ] = 0.9,
    tensor_parallel_size: Annotated[
        int, typer.Option(min=1, help="GPUs that share one model.", rich_help_panel=MODEL)
    ] = 1,
) -> None:
    """Measure a model as the papers do: weighted accuracy, map score, ReasonMap-Plus.

    A model is asked by vLLM, most likely token by most likely token. Answers reach the disk batch
    by batch: after a crash, start the same command again and it goes on. Baselines and published
    figures stand beside yours, with 95% intervals.

    Try it without a model: **rewardmap evaluate planner data/synthetic**

    A trained model: **rewardmap evaluate runs/synthetic/merged data/synthetic**

    Before and after: **rewardmap evaluate runs/x/merged data/x --against runs/x/model**

    A validation of a run: **rewardmap evaluate runs/x/validation data/x**
    """
    from rich.console import Console

    from rewardmap_verl.evaluation.inference import Generation
    from rewardmap_verl.evaluation.questions import read_questions
    from rewardmap_verl.evaluation.results import write_results
    from rewardmap_verl.evaluation.sources import AnswerSources
    from rewardmap_verl.evaluation.summary import compare_verdicts
    from rewardmap_verl.evaluation.weights import load_weights

    console = Console()
    generation = Generation(
        max_tokens, dtype, max_model_len, gpu_memory_utilization, tensor_parallel_size
    )
    try:
        used = load_weights(weights)
        questions = read_questions(data, split).first(limit)
        with _progress(console, questions) as progress:
            sources = AnswerSources(questions, generation, batch_size, seed, lenient, progress)
            called = name or sources.default_name(source)
            folder = out or Path("outputs", "evaluation") / called.replace("/", "-")
            judge = _Judge(sources, used)
            found = [judge.evaluate(source, called, answers or folder / "answers.jsonl")]
            if against is not None:
                other = sources.default_name(against)
                other = f"{other} (second)" if other == called else other
                found.append(judge.evaluate(against, other, folder / "answers-second.jsonl"))
        rows = judge.baselines({source, against}) if baselines else []
        compared = compare_verdicts(found[0].verdicts, found[1].verdicts, seed) if against else {}
        beside = questions.source == "reasonmap" if published is None else published
        files = write_results(folder, found, rows, compared, beside, seed)
    except (DataError, ConfigError) as error:
        fail(error)
    except KeyboardInterrupt:
        typer.secho("Interrupted. The same command goes on where it stopped.", err=True)
        raise typer.Exit(130) from None
    _show(console, found, rows, beside, detail)
    if compared:
        from rewardmap_verl.evaluation.tables import comparison_table

        console.print(comparison_table(found[0].name, found[1].name, compared))
    console.print(f"Written: {', '.join(str(file) for file in files)}", soft_wrap=True)


class _Judge:
    """Turns sources into evaluations."""

    def __init__(self, sources: AnswerSources, weights: object) -> None:
        from rewardmap_verl.rewards.config import RewardConfig

        self._sources = sources
        self._weights = weights
        self._config = RewardConfig()

    def evaluate(self, source: str, name: str, log: Path, breakdown: bool = True) -> Evaluation:
        """Get the answers of a source and judge them."""
        from rewardmap_verl.evaluation.results import evaluate_answers

        gathered = self._sources.answers(source, log)
        return evaluate_answers(
            name,
            gathered.answers,
            self._sources.questions,
            self._weights,  # type: ignore[arg-type]
            self._config,
            self._sources.seed,
            gathered.notes,
            breakdown,
        )

    def baselines(self, sources: set[str | None]) -> list[Evaluation]:
        """Evaluate the baselines that are not rows already."""
        from rewardmap_verl.evaluation.baselines import BASELINES

        names = [one for one in BASELINES if one not in sources]
        return [self.evaluate(one, one, Path(), breakdown=False) for one in names]


@contextmanager
def _progress(console: Console, questions: EvalSet) -> Iterator[Callable[[int], None]]:
    """Show a bar as soon as a model has begun to answer."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    tasks: list[object] = []

    def advance(count: int) -> None:
        if not tasks:
            tasks.append(bar.add_task("questions answered", total=len(questions.items)))
        bar.advance(tasks[0], count)  # type: ignore[arg-type]

    with bar:
        yield advance


def _show(
    console: Console,
    found: list[Evaluation],
    baselines: list[Evaluation],
    published: bool,
    detail: bool,
) -> None:
    from rewardmap_verl.evaluation.published import published_metrics
    from rewardmap_verl.evaluation.results import result_rows
    from rewardmap_verl.evaluation.tables import detail_table, main_tables

    questions = found[0].questions
    title = f"{questions.name}: {len(questions.items)} questions"
    for table in main_tables(result_rows(found, baselines, published), title, console.width):
        console.print(table)
    console.print("Weighted by difficulty; below each figure its 95% bootstrap interval.")
    if published:
        console.print(f"Dim rows, on ReasonMap's own test set: {published_metrics().source}.")
    for one in found:
        for note in one.notes:
            console.print(f"[yellow]{one.name}:[/] {note}", soft_wrap=True)
        if detail:
            console.print(detail_table(one.summary))
