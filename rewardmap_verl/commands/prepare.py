"""``rewardmap prepare``: from networks and map images to the folder that training reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.drawing import style_at
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.prepare import SPLITS, Report, Step
from rewardmap_verl.preparation.prepare import prepare as prepare_folder
from rewardmap_verl.preparation.settings import SIZES, PrepareSettings, Size
from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES
from rewardmap_verl.preparation.sources.reasonmap import MAPS_FROM, PUBLISHED
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.transit.micro import MicroSettings
from rewardmap_verl.transit.synthetic import settings_at

__all__ = ["prepare", "size_of"]

_BEYOND = [kind.value for kind in QuestionType if kind.spec.beyond_papers]
_QUESTIONS = ("--quota", "--brief", "--beyond-papers")
_SOURCES_OF = {
    "--root": ("local", "reasonmap"),
    "--data": ("reasonmap",),
    "--maps-from": ("reasonmap",),
    "--feed": ("gtfs",),
    "--route-type": ("gtfs",),
    "--train-maps": ("synthetic",),
    "--test-maps": ("synthetic",),
    "--difficulty": ("synthetic",),
    "--language": ("synthetic",),
    "--test-city": ("local", "gtfs"),
    **dict.fromkeys(_QUESTIONS, ("local", "synthetic", "gtfs")),
}
_SHOWN = 12  # cities in a list on the screen


class SourceName(str, Enum):
    """Where maps come from."""

    LOCAL = "local"
    SYNTHETIC = "synthetic"
    REASONMAP = "reasonmap"
    GTFS = "gtfs"


class Language(str, Enum):
    """What invented names sound like."""

    SHORT = "short"
    ENGLISH = "english"
    GERMAN = "german"
    FRENCH = "french"
    SPANISH = "spanish"
    NORDIC = "nordic"
    CYRILLIC = "cyrillic"
    GREEK = "greek"
    CHINESE = "chinese"


class SizeName(str, Enum):
    """How much the model sees."""

    MICRO = "micro"
    TINY = "tiny"
    FULL = "full"


def size_of(source: SourceName, size: SizeName | None) -> Size:
    """Return the settings of a size; without one, tiny for invented maps and full for real ones."""
    if size is None:
        size = SizeName.TINY if source is SourceName.SYNTHETIC else SizeName.FULL
    return SIZES[size.value]


def prepare(
    out: Annotated[
        Path, typer.Option(help="Folder to write. It is replaced as a whole, at the very end.")
    ],
    source: Annotated[
        SourceName,
        typer.Option(
            help="**synthetic**: maps invented and drawn here. **local**: your own folder. "
            "**reasonmap**: the published data sets. **gtfs**: feeds of transit agencies."
        ),
    ] = SourceName.SYNTHETIC,
    root: Annotated[
        Path | None,
        typer.Option(
            help="local: folder with maps/COUNTRY/CITY.png and stations/COUNTRY/CITY.json. "
            "reasonmap: such a folder, where the rows do not hold maps and networks themselves.",
            rich_help_panel="Maps",
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="reasonmap: a data set, repeated: a name on the hub, a folder of save_to_disk or "
            f"of parquet files; `:split` behind it takes that split only [{', '.join(PUBLISHED)}].",
            rich_help_panel="Maps",
        ),
    ] = None,
    feed: Annotated[
        list[Path] | None,
        typer.Option(
            help="gtfs: a feed, a zip file or its folder, repeated: one city each.",
            rich_help_panel="Maps",
        ),
    ] = None,
    route_type: Annotated[
        list[int] | None,
        typer.Option(
            help="gtfs: a kind of route to take, repeated [trams, metros and trains].",
            rich_help_panel="Maps",
        ),
    ] = None,
    maps_from: Annotated[
        list[str] | None,
        typer.Option(
            help="reasonmap: a data set whose rows hold maps and networks, repeated "
            f"[{', '.join(MAPS_FROM)}].",
            rich_help_panel="Maps",
        ),
    ] = None,
    size: Annotated[
        SizeName | None,
        typer.Option(
            help="Defaults for all that follows. **tiny**: 16 to 36 visual tokens, brief wording, "
            "for the embedded model (default of synthetic). **micro**: 20 visual tokens, a letter "
            "for each stop, for evidence in small (synthetic only). **full**: for Qwen2.5-VL, as "
            "many questions as in the papers (default of the others)."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Everything random is a function of it.")] = 0,
    train_maps: Annotated[
        int | None,
        typer.Option(min=1, help="synthetic: maps to train on [24].", rich_help_panel="Maps"),
    ] = None,
    test_maps: Annotated[
        int | None,
        typer.Option(
            min=1, help="synthetic: maps kept apart for testing [8].", rich_help_panel="Maps"
        ),
    ] = None,
    difficulty: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="synthetic, size full: 0 is a small town with two lines, 1 a metropolis with "
            "twenty and much beside them.",
            rich_help_panel="Maps",
        ),
    ] = None,
    language: Annotated[
        list[Language] | None,
        typer.Option(
            help="synthetic: what names sound like, repeated; one is drawn for each map.",
            rich_help_panel="Maps",
        ),
    ] = None,
    test_city: Annotated[
        list[str] | None,
        typer.Option(
            help="local, gtfs: a city kept apart for testing, CITY or COUNTRY/CITY, repeated "
            "[the eleven of the papers].",
            rich_help_panel="Maps",
        ),
    ] = None,
    quota: Annotated[
        list[str] | None,
        typer.Option(
            help="Questions for each map, TYPE=N, repeated: "
            f"{', '.join(kind.value for kind in QuestionType)}.",
            rich_help_panel="Questions",
        ),
    ] = None,
    beyond_papers: Annotated[
        bool,
        typer.Option(
            "--beyond-papers",
            help=f"Ask also {', '.join(_BEYOND)}, types that the papers do not have. A curriculum "
            "must name them, as a stage or in data.curriculum.leave_out.",
            rich_help_panel="Questions",
        ),
    ] = False,
    form: Annotated[
        list[str] | None,
        typer.Option(
            help="Forms of planning questions, repeated: short, long_count, long_via.",
            rich_help_panel="Questions",
        ),
    ] = None,
    brief: Annotated[
        bool | None,
        typer.Option(
            "--brief/--wordy", help="Wording of the questions.", rich_help_panel="Questions"
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            help="Most pixels of a map; 784 (28 x 28) make one visual token.",
            rich_help_panel="What the model sees",
        ),
    ] = None,
    min_pixels: Annotated[
        int | None,
        typer.Option(
            help="Smaller maps are enlarged to this many pixels.",
            rich_help_panel="What the model sees",
        ),
    ] = None,
    pixel_limit: Annotated[
        int,
        typer.Option(
            help="Refuse source images with more pixels (decompression bombs).",
            rich_help_panel="What the model sees",
        ),
    ] = PixelBudget().pixel_limit,
    max_prompt_length: Annotated[
        int | None,
        typer.Option(
            help="Longest prompt in tokens, image and text.", rich_help_panel="What the model sees"
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a tokenizer to count prompts exactly, not by a bound.",
            rich_help_panel="What the model sees",
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(help="What would be left out, such as a city without an image, is an error."),
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one for each core.")] = 0,
    force: Annotated[bool, typer.Option(help="Prepare again what is up to date.")] = False,
) -> None:
    """Make training data: maps on the pixel budget, questions with gold answers, a manifest.

    Reads networks and map images, asks all types of questions about each map, resizes each
    image once, and writes train.parquet and test.parquet in verl's row format. Test cities are kept
    apart. The same seed gives the same bytes; what is up to date is not done again.

    Try it: **rewardmap prepare --out data/synthetic**

    Your own city: put a picture of the map in my/maps/country/city.png and its lines in
    my/stations/country/city.json, {"Line 1": ["First Stop", "Second Stop"], …}, then
    **rewardmap prepare --source local --root my --out data/my**
    """
    console = Console()
    with readable_errors():
        _check_source(
            source,
            {
                "--root": root,
                "--data": data,
                "--maps-from": maps_from,
                "--feed": feed,
                "--route-type": route_type,
                "--train-maps": train_maps,
                "--test-maps": test_maps,
                "--difficulty": difficulty,
                "--language": language,
                "--test-city": test_city,
                "--quota": quota,
                "--brief": brief,
                "--beyond-papers": beyond_papers or None,
            },
        )
        preset = size_of(source, size)
        preset = _drawn_as(preset, difficulty, language)
        quotas = preset.quotas.with_beyond_papers(preset.beyond if beyond_papers else 0)
        most, least = max_pixels or preset.max_pixels, PixelBudget().min_pixels
        with _no_trace_of_pydantic():
            settings = PrepareSettings(
                source=source.value,
                out=out,
                root=root,
                data=tuple(data) if data else PUBLISHED,
                maps_from=tuple(maps_from) if maps_from else MAPS_FROM,
                feeds=tuple(feed or ()),
                route_types=tuple(route_type) if route_type else RAIL_TYPES,
                seed=seed,
                quotas=_quotas(quotas, quota or [], form),
                brief=preset.brief if brief is None else brief,
                budget=PixelBudget(
                    max_pixels=most,
                    min_pixels=min_pixels or max(least, min(preset.min_pixels, most)),
                    pixel_limit=pixel_limit,
                ),
                max_prompt_length=max_prompt_length or preset.max_prompt_length,
                tokenizer=tokenizer,
                test_cities=tuple(test_city) if test_city else None,
                train_maps=train_maps or preset.train_maps,
                test_maps=test_maps or preset.test_maps,
                networks=preset.networks,
                style=preset.style,
                strict=strict,
                workers=workers,
                force=force,
            )
        with _progress(console) as report:
            manifest = prepare_folder(settings, report)
        _summarize(console, manifest, out)


def _check_source(source: SourceName, given: Mapping[str, object]) -> None:
    """Refuse options that another source would heed: they were meant to do something.

    Raises:
        ConfigError: Naming the option and the sources that it is for.
    """
    for option, value in given.items():
        sources = _SOURCES_OF[option]
        if value is not None and source.value not in sources:
            reason = "brings its questions along" if option in _QUESTIONS else "does not read it"
            hint = f"The source {source.value} {reason}. It is for --source {' or '.join(sources)}."
            raise ConfigError(option, hint=hint)


def _drawn_as(preset: Size, difficulty: float | None, language: list[Language] | None) -> Size:
    """Apply the knobs of invented maps.

    Raises:
        ConfigError: A knob does not go with the size.
    """
    if difficulty is not None:
        if preset.brief:
            raise ConfigError(
                "--difficulty",
                found=difficulty,
                hint="Maps of sizes tiny and micro are as simple as they come; add --size full.",
            )
        networks, style = settings_at(difficulty), style_at(difficulty)
        preset = replace(preset, networks=networks, style=style)
    if language:
        if isinstance(preset.networks, MicroSettings):
            raise ConfigError("--language", hint="Stops of size micro have letters for names.")
        chosen = tuple(dict.fromkeys(one.value for one in language))
        preset = replace(preset, networks=preset.networks.with_languages(chosen))
    return preset


@contextmanager
def _no_trace_of_pydantic() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError("prepare", field, None, f"{message[:1].upper()}{message[1:]}.") from error


def _quotas(start: Quotas, given: list[str], forms: list[str] | None) -> Quotas:
    """Apply ``TYPE=N`` options to the quotas of a size.

    Raises:
        ConfigError: An option is not of this form, or names no type.
    """
    changed: dict[str, Any] = {"forms": tuple(forms)} if forms else {}
    kinds = {kind.value.lower(): kind.value for kind in QuestionType}
    for option in given:
        name, _, number = option.partition("=")
        if name.lower() not in kinds or not number.isdecimal():
            raise ConfigError(
                "--quota",
                found=option,
                hint=f"Write TYPE=N with one of {', '.join(kinds.values())}.",
            )
        changed[name.lower()] = int(number)
    return replace(start, **changed)


@contextmanager
def _progress(console: Console) -> Iterator[Report]:
    """Show a bar with the map that was finished last."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("reading maps", total=None)

        def report(step: Step) -> None:
            if not step.total:
                progress.stop()
                console.print("Up to date: nothing has changed since it was prepared.")
                return
            progress.update(task, completed=step.done, total=step.total, description=step.text)

        yield report


def _summarize(console: Console, manifest: Manifest, out: Path) -> None:
    table = Table(title=f"{escape(str(out))}  ({manifest.source}, seed {manifest.seed})")
    table.add_column("questions")
    for split in SPLITS:
        table.add_column(split, justify="right")
    for kind in QuestionType:
        counts = [manifest.rows_by_type[split].get(kind.value, 0) for split in SPLITS]
        if kind.spec.beyond_papers and not any(counts):
            continue
        table.add_row(kind.value, *(f"{count:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{manifest.rows[split]:,}" for split in SPLITS))
    maps = [sum(split in entry.splits for entry in manifest.maps) for split in SPLITS]
    table.add_row("maps", *(f"{count:,}" for count in maps))
    longest = [manifest.longest_prompt[split] for split in SPLITS]
    table.add_row("longest prompt (tokens)", *(f"{count:,}" for count in longest))
    console.print(table)
    console.print(f"{len(manifest.files)} files, {decimal(manifest.bytes)}")
    for note in manifest.notes:
        console.print(f"[yellow]Note[/] {escape(note)}", soft_wrap=True)
    _warn_skipped(console, manifest)


def _warn_skipped(console: Console, manifest: Manifest) -> None:
    reasons: dict[str, list[str]] = {}
    for city in manifest.skipped:
        reasons.setdefault(city.reason, []).append(f"{city.country}/{city.city}")
    for reason, cities in reasons.items():
        listed = ", ".join(cities[:_SHOWN]) + (", …" if len(cities) > _SHOWN else "")
        console.print(
            f"[yellow]Left out[/] {len(cities)} cities with {reason}: {escape(listed)}",
            soft_wrap=True,
        )
