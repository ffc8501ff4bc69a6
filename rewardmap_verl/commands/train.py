"""``rewardmap train``: train a model through all stages, merge it and show the results."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

if TYPE_CHECKING:
    from rich.console import Console

    from rewardmap_verl.launch.run_plan import RunPlan

__all__ = ["train"]

SMOKE = "smoke"
"""The option that tries the machine: it trains no model and judges itself."""

MULTI_NODE = "multi_node"
"""The option of a run on several machines."""


def train(
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Overrides of the recipe, such as data.train_batch_size=8.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", help="Prepared folder [default: data.folder of the recipe]."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option", help="Recipe option, such as cpu or lora; repeatable, applied in order."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Model to start from: a folder, or a name on the hub."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the run [default: runs/NAME of the data, or runs/smoke]."
        ),
    ] = None,
    merge: Annotated[
        bool, typer.Option(help="Merge the last checkpoint into OUT/merged at the end.")
    ] = True,
    every: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps per line, which has their means [default: 1; more if steps are short].",
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the complete output of the run.")
    ] = False,
) -> None:
    """Train a model through all stages; the same command resumes an interrupted run.

    Runs verl's program `python -m verl.trainer.main_ppo`, whose command line is printed. The
    terminal shows one line per step:

        12/33 counting  reward  6.40  acc  48%  signal  94%   4.1 s  eta 1:40

    `signal` is the share of groups whose answers differ in reward. The complete output is in
    OUT/train.log. Ctrl-C ends the run and all its processes.

    A trial of the machine: **rewardmap train --data data/rewardmap --option smoke**

    On a CPU: **rewardmap train --data data/synthetic --option cpu --model MODEL**

    On GPUs: **rewardmap train --data data/rewardmap --option lora data.train_batch_size=8**

    Exit codes: 0 done, 1 the run failed or was refused, 2 wrong arguments, 130 Ctrl-C. Other codes
    are those of verl's program.
    """
    from rich.console import Console

    from rewardmap_verl.launch.accelerator import require_accelerator
    from rewardmap_verl.launch.display import Display
    from rewardmap_verl.launch.run_plan import plan_run
    from rewardmap_verl.launch.training import run_training
    from rewardmap_verl.preparation.atomic import disk_errors, exclusive_lock
    from rewardmap_verl.reaper import start_reaper

    console = Console()
    with readable_errors():
        smoke = SMOKE in (option or ())
        name = SMOKE if smoke else data.resolve().name if data else "rewardmap"
        run = out or Path("runs", name)
        plan = plan_run(run, data, model, option or (), overrides or ())
        if MULTI_NODE not in (option or ()):  # the machine that starts it may have no GPU
            require_accelerator({**os.environ, **plan.variables})
        with disk_errors(run):
            run.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(run):
            _announce(plan, console)
            start_reaper()  # ends the run if this program is killed
            with Display(console) as display:
                code = run_training(plan, display, verbose, every)
            if code:
                raise typer.Exit(code)
            if not smoke:
                _finish(plan, merge, verbose)


def _announce(plan: RunPlan, console: Console) -> None:
    """Print what is started and where its output goes."""
    command = " ".join(
        [
            *(f"{name}={shlex.quote(value)}" for name, value in plan.variables.items()),
            "python",
            shlex.join(plan.command[1:]),
        ]
    )
    for line in (command, f"Complete output: {plan.log}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _finish(plan: RunPlan, merge: bool, verbose: bool) -> None:
    """Merge the last checkpoint and print the results."""
    from rich.console import Console

    from rewardmap_verl.checkpoints.merge import merge as merge_checkpoint
    from rewardmap_verl.launch.quiet import quiet_output
    from rewardmap_verl.launch.run_plan import CHECKPOINTS, MERGED
    from rewardmap_verl.reports.run_summary import summary_of, summary_table

    console = Console()
    if merge:
        with (
            quiet_output(plan.log, verbose) as terminal,
            terminal.status("merging the last checkpoint"),
        ):
            merged = merge_checkpoint(plan.run / CHECKPOINTS, plan.run / MERGED, replace=True)
        console.print(f"Model: {merged}", highlight=False)
    if plan.record is not None:
        console.print(summary_table(summary_of(plan.record), types=False))
        console.print(f"By question type: rewardmap summary {plan.run}", highlight=False)
