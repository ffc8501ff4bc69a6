"""Run a preparation from the command line: a progress bar, then a summary."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.map_jobs import MapProgress, ReportProgress
from rewardmap_verl.preparation.prepare import SPLITS, prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.questions.types import QuestionType

__all__ = ["run"]

_CITIES_SHOWN = 12


def run(settings: PrepareSettings) -> None:
    """Prepare the folder and print what it contains.

    Raises:
        DataError: The source cannot be used, or the folder cannot be written.
        ConfigError: The settings do not fit the source.
    """
    console = Console()
    with _terminable(), _progress(console) as report:
        manifest = prepare(settings, report)
    console.print(_table(manifest, settings.out))
    console.print(f"{len(manifest.files)} files, {decimal(manifest.bytes)}")
    for note in manifest.notes:
        console.print(f"[yellow]Note[/] {escape(note)}", soft_wrap=True)
    _print_skipped(console, manifest)


@contextmanager
def _terminable() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: worker processes stop, and the terminal is restored."""

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # signals can be handled in the main thread only
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress(console: Console) -> Iterator[ReportProgress]:
    """Show a progress bar with the map that was finished last."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("reading maps", total=None)

        def report(update: MapProgress) -> None:
            if not update.total:
                progress.stop()
                console.print("Up to date: nothing has changed since it was prepared.")
                return
            progress.update(
                task, completed=update.done, total=update.total, description=update.text
            )

        yield report


def _table(manifest: Manifest, out: Path) -> Table:
    """Return questions by type, maps and prompt lengths, a column for each split."""
    table = Table(title=f"{escape(str(out))}  ({manifest.source}, seed {manifest.seed})")
    table.add_column("questions")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for kind in QuestionType:
        counts = [manifest.rows_by_type[split].get(kind.value, 0) for split in SPLITS]
        if any(counts) or not kind.spec.beyond_papers:
            _add_counts(table, kind.value, counts)
    table.add_section()
    _add_counts(table, "all", [manifest.rows[split] for split in SPLITS])
    maps = [sum(split in entry.splits for entry in manifest.maps) for split in SPLITS]
    _add_counts(table, "maps", maps)
    longest = [manifest.longest_prompt[split] for split in SPLITS]
    _add_counts(table, "longest prompt (tokens)", longest)
    return table


def _add_counts(table: Table, name: str, counts: list[int]) -> None:
    table.add_row(name, *(f"{count:,}" for count in counts))


def _print_skipped(console: Console, manifest: Manifest) -> None:
    """Print the cities that were skipped, grouped by reason."""
    reasons: dict[str, list[str]] = {}
    for city in manifest.skipped:
        reasons.setdefault(city.reason, []).append(f"{city.country}/{city.city}")
    for reason, cities in reasons.items():
        more = ", …" if len(cities) > _CITIES_SHOWN else ""
        listed = ", ".join(cities[:_CITIES_SHOWN]) + more
        count = f"{len(cities)} {'city' if len(cities) == 1 else 'cities'}"
        console.print(f"[yellow]Skipped[/] {count} with {reason}: {escape(listed)}", soft_wrap=True)
