"""``rewardmap cold-start``: teach the tiny model the answer formats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["cold_start"]


def cold_start(
    model: Annotated[Path, typer.Argument(help="Model folder from `rewardmap tiny-model`.")],
    data: Annotated[Path, typer.Argument(help="Prepared folder; its training split is used.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist.")],
    steps: Annotated[
        int,
        typer.Option(min=1, help="Updates; more give a more accurate model that explores less."),
    ] = 100,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", "-n", min=16, help="Maximum number of conversations; each takes up to 1 MB."
        ),
    ] = 512,
    seed: Annotated[
        int, typer.Option(help="Seed for choosing conversations if there are more.")
    ] = 1,
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="Question type to use; repeatable [default: all types]."),
    ] = None,
    traces: Annotated[
        Path | None,
        typer.Option(
            help="Parquet file of `rewardmap export DATA verl --reasoning zoom` to train on, in "
            "place of the answers of DATA."
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="key=value override of recipe/cold_start; repeatable."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the complete output of the trainer.")
    ] = False,
) -> None:
    """Train the tiny model on gold answers with verl's SFT trainer on the CPU (about a minute).

    The training is short on purpose: the model learns the formats but is mostly wrong, so rewards
    differ and reinforcement learning has a signal. The complete output is in OUT-sft.log.
    """
    from rich.console import Console

    from rewardmap_verl.inputs.files import check_file
    from rewardmap_verl.launch.display import Display
    from rewardmap_verl.launch.log_text import clean
    from rewardmap_verl.tiny_model import cold_start as supervised
    from rewardmap_verl.tiny_model.conversations import (
        Conversation,
        of_types,
        read_conversations,
        sample_evenly,
    )

    console = Console()
    with readable_errors():
        chosen: Path | list[Conversation]
        if traces is None:
            found = of_types(read_conversations(data), type_ or (), data)
            chosen = sample_evenly(found, limit, seed)
            what = f"{len(chosen)} conversations"
        else:
            chosen, what = traces.absolute(), f"the conversations of {traces}"
            check_file(traces)
        with Display(console) as display:
            display.line(f"Teaching the answer formats with {what}")
            display.line(f"Complete output: {supervised.log_of(out)}")
            display.status("starting verl's SFT trainer")

            def show(step: int, lines: Sequence[str]) -> None:
                for line in lines if verbose else ():
                    display.line(clean(line))
                if step:
                    display.status(f"{step}/{steps} steps", step, steps)

            supervised.cold_start(model, chosen, out, steps, override or (), progress=show)
    console.print(f"{out}: {steps} steps on {what}", highlight=False)
