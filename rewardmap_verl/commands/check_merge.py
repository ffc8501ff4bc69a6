"""``rewardmap check-merge``: compare a merged model with its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["check_merge"]

_SHOWN = 5


def check_merge(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint folder of a run (its latest checkpoint), or a global_step_N."
        ),
    ],
    model: Annotated[Path, typer.Argument(help="Merged model folder.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Prepared folder of the run's validation; compares answers as well, for runs that "
            "validate with greedy decoding."
        ),
    ] = None,
    answers: Annotated[int, typer.Option(min=1, help="With --data: number of questions.")] = 32,
    agree: Annotated[
        float, typer.Option(min=0, max=1, help="With --data: minimum share of equal answers.")
    ] = 0.9,
) -> None:
    """Compare a merged model with its checkpoint, tensor by tensor.

    The merged folder is loaded with transformers. Weights must be equal in its data type. With
    `--data`, vLLM also answers questions of the run's last validation; apart from the effects of
    rounding the answers must be the same. The exit code is 1 if the models differ.

    Example: **rewardmap check-merge runs/synthetic runs/synthetic/merged**
    """
    from rewardmap_verl.reports.merged import compare_with_checkpoint

    with readable_errors():
        found = compare_with_checkpoint(checkpoint, model)
    for text, names in (
        ("missing in the merged model", found.missing),
        ("not in the checkpoint", found.strange),
        ("different", found.different),
    ):
        for name in names[:_SHOWN]:
            typer.echo(f"{name}: {text}")
        if len(names) > _SHOWN:
            typer.echo(f"… and {len(names) - _SHOWN} more")
    typer.echo(f"{found.tensors} tensors are equal" + ("" if found.same else ", others are not"))
    if not found.same or (
        data is not None and not _answers_agree(checkpoint, model, data, answers, agree)
    ):
        raise typer.Exit(1)


def _answers_agree(run: Path, model: Path, data: Path, count: int, least: float) -> bool:
    from rewardmap_verl.launch.quiet import quiet_output
    from rewardmap_verl.reports.same_answers import ask_again

    with readable_errors(), quiet_output(None):
        pairs = ask_again(run, model, data, count)
    other = [pair for pair in pairs if not pair.same]
    for pair in other[:_SHOWN]:
        typer.echo(f"{pair.question!r}\n  trained: {pair.trained!r}\n  merged:  {pair.merged!r}")
    typer.echo(f"{len(pairs) - len(other)} of {len(pairs)} answers are equal")
    return len(pairs) - len(other) >= least * len(pairs)
