"""``rewardmap curriculum``: inspect a curriculum before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardmap_verl.commands.failure import readable_errors

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from rich.table import Table

__all__ = ["curriculum"]

curriculum = typer.Typer(no_args_is_help=True, help="Inspect a curriculum before training.")


@curriculum.callback()
def _group() -> None:
    """Inspect a curriculum before training."""


@curriculum.command()
def preview(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="Overrides as for `verl.trainer.main_ppo`; +recipe=rewardmap is added if missing."
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Seconds per step, to show durations.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of an earlier run; its seconds per step are used.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="Plot the mixture of every step to this file (.png, .svg, .pdf)."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Model folder or Hugging Face name. Sample answers of it, as the run would, and "
            "show the share of groups without signal."
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", "-n", min=1, help="With --model: questions of each type."),
    ] = 32,
    seed: Annotated[int, typer.Option(help="With --model: seed of the drawn questions.")] = 0,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="With --model: show the output of vLLM.")
    ] = False,
) -> None:
    """Show the stages of a run's curriculum with their rows, steps and mixtures.

    Try it: rewardmap curriculum preview data.folder=data/synthetic data.curriculum.stages=coarse

    With --model, training questions are answered by the model with the temperature, group size and
    reward of the run. A group whose answers all have the same reward carries no signal.
    """
    from rich.console import Console

    from rewardmap_verl.curriculum.curriculum_plan import plan_curriculum
    from rewardmap_verl.curriculum.preview import draw_preview, preview, preview_table
    from rewardmap_verl.preflight.compose import compose_run
    from rewardmap_verl.reports.run_summary import summary_of

    with readable_errors():
        if run is not None:
            seconds = summary_of(run).step_seconds
        config = compose_run(overrides or [])
        plan = plan_curriculum(config.data)
        console = Console()
        console.print(preview_table(preview(plan), seconds))
        if plan.unused_rows:
            rows = len(plan.columns["type"])
            console.print(f"{plan.unused_rows} of {rows} rows are in no stage.")
        if picture is not None:
            draw_preview(plan, picture)
            console.print(f"Written: {picture}")
        if model is not None:
            console.print(_signal_table(config, model, limit, seed, verbose))


def _signal_table(config: DictConfig, model: str, limit: int, seed: int, verbose: bool) -> Table:
    """Sample answers of a model to training questions and return their signal as a table."""
    from omegaconf import OmegaConf
    from rich.progress import Progress

    from rewardmap_verl.curriculum.config import file_names
    from rewardmap_verl.evaluation.inference import Generation, check_model
    from rewardmap_verl.evaluation.questions import read_questions
    from rewardmap_verl.evaluation.signal import (
        SamplingEngine,
        measure_signal,
        sample_questions,
        signal_table,
    )
    from rewardmap_verl.launch.quiet import quiet_output
    from rewardmap_verl.rewards.config import load_reward_config

    check_model(model)
    file = Path(file_names(config.data.train_files)[0])
    questions = sample_questions(read_questions(file.parent, file.stem), limit, seed)
    rollout, reward = config.actor_rollout_ref.rollout, config.reward.rewardmap
    generation = Generation(max_tokens=config.data.max_response_length)
    plain: Any = OmegaConf.to_container(reward, resolve=True)
    with quiet_output(None, verbose) as console, Progress(console=console) as progress:
        work = progress.add_task(
            f"sampling {rollout.n} answers per question", total=len(questions.items)
        )
        engine = SamplingEngine(model, generation, questions, rollout.temperature)
        found = measure_signal(
            questions,
            engine,
            rollout.n,
            load_reward_config(plain),
            lambda count: progress.advance(work, count),
        )
    return signal_table(found, rollout.n)
