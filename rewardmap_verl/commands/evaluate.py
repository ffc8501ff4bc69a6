"""``rewardmap evaluate``: the papers' metrics of a model or of saved answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.option_groups import option_groups
from rewardmap_verl.commands.server_options import ServerOptions
from rewardmap_verl.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from rewardmap_verl.evaluation.results import Evaluation, Results
    from rewardmap_verl.launch.answer_progress import AnswerProgress
    from rewardmap_verl.zoom.settings import ZoomSettings

__all__ = ["evaluate"]

MODEL = "Generating answers with a model"
LOG_NAME = "evaluate.log"
"""File in the output folder with what vLLM and other libraries print."""


class Sampling(str, Enum):
    """How tokens are chosen."""

    GREEDY = "greedy"
    MODEL = "model"


class Tool(str, Enum):
    """What a model may call before it answers."""

    ZOOM = "zoom"


SourceArgument = Annotated[
    str,
    typer.Argument(
        help="Folder of a model or its name on the hub; or saved answers: ours (JSON lines), "
        "VLMEvalKit's file or folder, verl's validation_data_dir or one STEP.jsonl of it; "
        "or a baseline: random, majority, planner, gold; or a model of a server: URL#MODEL."
    ),
]
DataArgument = Annotated[
    Path | None,
    typer.Argument(
        help="Folder written by `rewardmap prepare`. With --endpoint it is the only argument."
    ),
]
SplitOption = Annotated[str, typer.Option(help="Split of the data: test or train.")]
AgainstOption = Annotated[
    str | None, typer.Option(help="A second source, compared with the first by a paired test.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder for results and answers; default: outputs/evaluation/NAME."
    ),
]
NameOption = Annotated[str | None, typer.Option(help="Name of the first source in the tables.")]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", "-n", min=1, help="Evaluate only the first LIMIT questions."),
]
LenientOption = Annotated[
    bool,
    typer.Option(
        "--lenient",
        help="Skip answers to other questions, and take the later of two answers to one question; "
        "both are errors by default.",
    ),
]
BaselinesOption = Annotated[bool, typer.Option(help="Add rows: random, majority, planner, gold.")]
PublishedOption = Annotated[
    bool | None,
    typer.Option(
        help="Add rows of published metrics; by default only for the published questions "
        "(prepare reasonmap)."
    ),
]
DetailOption = Annotated[
    bool, typer.Option("--detail", help="Show every metric: parts, types, levels, cities.")
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="YAML with other difficulty weights (docs/evaluation.md).")
]
WithoutMapOption = Annotated[
    bool,
    typer.Option(
        "--without-map", help="Also ask the model without any image.", rich_help_panel=MODEL
    ),
]
BlankOption = Annotated[
    bool,
    typer.Option(
        "--blank",
        help="Also ask the model with a white image in place of each map.",
        rich_help_panel=MODEL,
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of intervals, tests and random baseline.")]
AnswersOption = Annotated[
    Path | None,
    typer.Option(
        help="File that answers are appended to; default: OUT/answers.jsonl. Questions that it "
        "answers already are skipped.",
        rich_help_panel=MODEL,
    ),
]
BatchSizeOption = Annotated[
    int,
    typer.Option(min=1, help="Questions per engine and write to disk.", rich_help_panel=MODEL),
]
MaxTokensOption = Annotated[
    int, typer.Option(min=1, help="Maximum tokens of an answer.", rich_help_panel=MODEL)
]
MaxModelLenOption = Annotated[
    int | None,
    typer.Option(help="Maximum tokens of prompt and answer together.", rich_help_panel=MODEL),
]
DtypeOption = Annotated[
    str, typer.Option(help="auto, bfloat16, float16 or float32.", rich_help_panel=MODEL)
]
MemoryOption = Annotated[
    float, typer.Option(help="Fraction of GPU memory for vLLM.", rich_help_panel=MODEL)
]
TensorParallelOption = Annotated[
    int, typer.Option(min=1, help="GPUs that share one model.", rich_help_panel=MODEL)
]
DataParallelOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Engines that share the questions; all GPUs of a node: their number, divided by "
        "--tensor-parallel-size.",
        rich_help_panel=MODEL,
    ),
]
PenaltyOption = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=2.0,
        help="Repetition penalty; default: none, or with --sampling model the model's own. The "
        "released evaluation of Qwen2.5-VL has 1.05.",
        rich_help_panel=MODEL,
    ),
]
VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help=f"Show what vLLM and other libraries print; it goes to OUT/{LOG_NAME} otherwise.",
        rich_help_panel=MODEL,
    ),
]
ToolOption = Annotated[
    Tool | None,
    typer.Option(
        help="zoom: let the model look at crops of the original maps, in turns, before it answers. "
        "The data must have been prepared with --keep-originals.",
        rich_help_panel=MODEL,
    ),
]
ZoomOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Setting of the tool, such as max_calls=2; repeatable. Use those of the run "
        "(data.zoom). [default: those of the option zoom]",
        rich_help_panel=MODEL,
    ),
]
SamplingOption = Annotated[
    Sampling,
    typer.Option(
        help="greedy, or model: the model's own generation settings.", rich_help_panel=MODEL
    ),
]


@option_groups
def evaluate(
    server: ServerOptions,
    source: SourceArgument,
    data: DataArgument = None,
    split: SplitOption = "test",
    against: AgainstOption = None,
    out: OutOption = None,
    name: NameOption = None,
    limit: LimitOption = None,
    lenient: LenientOption = False,
    baselines: BaselinesOption = True,
    published: PublishedOption = None,
    detail: DetailOption = False,
    weights: WeightsOption = None,
    seed: SeedOption = 0,
    answers: AnswersOption = None,
    batch_size: BatchSizeOption = 64,
    max_tokens: MaxTokensOption = 2048,
    max_model_len: MaxModelLenOption = None,
    dtype: DtypeOption = "auto",
    gpu_memory_utilization: MemoryOption = 0.9,
    tensor_parallel_size: TensorParallelOption = 1,
    data_parallel_size: DataParallelOption = 1,
    sampling: SamplingOption = Sampling.GREEDY,
    repetition_penalty: PenaltyOption = None,
    without_map: WithoutMapOption = False,
    blank: BlankOption = False,
    verbose: VerboseOption = False,
    tool: ToolOption = None,
    zoom: ZoomOption = None,
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
    from rewardmap_verl.evaluation.inference import Generation, check_model
    from rewardmap_verl.evaluation.questions import Mask, read_questions
    from rewardmap_verl.evaluation.results import write_results
    from rewardmap_verl.evaluation.sources import AnswerSources, is_model
    from rewardmap_verl.evaluation.weights import load_weights

    with _reported_errors():
        generation = Generation(
            max_tokens,
            dtype,
            max_model_len,
            gpu_memory_utilization,
            tensor_parallel_size,
            greedy=sampling is Sampling.GREEDY,
            repetition_penalty=repetition_penalty,
            data_parallel_size=data_parallel_size,
            zoom=_zoom(tool, zoom or ()),
        )
        source, folder_of_data = server.source_and_data(source, data)
        table = load_weights(weights)
        questions = read_questions(folder_of_data, split).first(limit)
        masks = [mask for mask, on in zip(Mask, (without_map, blank), strict=True) if on]
        sources = AnswerSources(
            questions, generation, batch_size, seed, lenient, endpoint=server.options()
        )
        title = name or sources.default_name(source)
        folder = out or Path("outputs", "evaluation") / title.replace("/", "-")
        asked = [one for one in (source, against) if one is not None and is_model(one)]
        local = [one for one in asked if not is_endpoint(one)]
        for model in local:
            check_model(model)  # before a log is written
        wanted = len(questions.items) * (len(asked) + len(masks))
        with _progress(folder / LOG_NAME, wanted, verbose or not local) as progress:
            sources = replace(sources, progress=progress)
            evaluator = Evaluator(sources, table)
            masked = evaluator.evaluate_masked(source, title, folder, masks)
            found = evaluator.evaluate_pair(source, against, title, folder, answers)
        rows = evaluator.evaluate_baselines({source, against}) if baselines else []
        results = replace(_results(found, rows, published, seed), masked=masked)
        files = write_results(folder, results)
    console = Console()
    _show(console, results, detail)
    written = f"Written: {', '.join(str(file) for file in files)}"
    console.print(written, soft_wrap=True, markup=False, highlight=False)


def _zoom(tool: Tool | None, given: Sequence[str]) -> ZoomSettings | None:
    """Return the settings of the zoom tool, if it is used.

    Raises:
        ConfigError: There are settings without the tool, or one is invalid.
    """
    from rewardmap_verl.zoom.settings import zoom_settings

    if given and tool is None:
        raise ConfigError("--zoom", found=given[0], hint="It needs --tool zoom.")
    return zoom_settings(given) if tool is Tool.ZOOM else None


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
