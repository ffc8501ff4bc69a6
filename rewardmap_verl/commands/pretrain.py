"""``rewardmap pretrain``: make the pretrained start of the embedded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardmap_verl.commands.failure import readable_errors

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["pretrain"]


def pretrain(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; must not exist.")],
    seed: Annotated[int, typer.Option(help="Seed of maps, weights and batches.")] = 1,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads. Only one thread gives the same bytes every time.")
    ] = 1,
) -> None:
    """Pretrain the embedded model on reading pocket maps, as the one in this package was.

    Takes about 40 minutes on one core. Interrupt it at any time; the same command continues. The
    folder then has a record, pretraining.json: settings, loss curves, and the share of held-out
    tasks that the model answers exactly.
    """
    import torch
    from rich.console import Console

    from rewardmap_verl.tiny_model.pocket_model import read_record
    from rewardmap_verl.tiny_model.pretraining import pretrain as run
    from rewardmap_verl.tiny_model.pretraining_settings import PretrainSettings

    torch.set_num_threads(threads)
    console = Console()
    with readable_errors(), _progress(console) as report:
        run(out, PretrainSettings(seed=seed), report)
        record = read_record(out)
    console.print(f"{out}: {record['parameters']:,} parameters", highlight=False)
    console.print(_table(record["held_out"]))


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str, int, int, float], None]]:
    """Show the current stage with its loss."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total, loss="")
            shown = "" if loss != loss else f"loss {loss:.3f}"
            progress.update(tasks[stage], completed=done, loss=shown)

        yield report


def _table(held_out: dict[str, dict[str, float]]) -> Table:
    """Return the held-out results, a row for each kind of task."""
    from rich.table import Table

    table = Table("held-out tasks")
    for column in ("number", "greedy", "sampled"):
        table.add_column(column, justify="right")
    for kind, result in held_out.items():
        shares = (f"{100 * result[how]:.0f} %" for how in ("greedy", "sampled"))
        table.add_row(kind, str(result["tasks"]), *shares)
    return table
