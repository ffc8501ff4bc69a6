"""``rewardmap draw``: one transit map as PNG or SVG, at any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.map_options import Language, language_names
from rewardmap_verl.drawing import DrawnMap, MapStyle, draw_map, style_at
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import disk_errors, json_bytes, staging_file
from rewardmap_verl.preparation.sources.gtfs import locate_feed, place_network
from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthetic import generate_network, settings_at

__all__ = ["draw"]

_MAX_WIDTH = 30_000


def draw(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: NAME.png or NAME.svg.")],
    seed: Annotated[int, typer.Option(help="Seed of the generated network.")] = 0,
    index: Annotated[
        int, typer.Option(min=0, help="Number of the network; each seed has any number of them.")
    ] = 0,
    difficulty: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="0 is a small town with two lines, 1 a metropolis with twenty.",
        ),
    ] = 0.3,
    language: Annotated[
        list[Language] | None,
        typer.Option(help="Language that the names imitate. Repeat for several."),
    ] = None,
    feed: Annotated[
        Path | None, typer.Option(help="Draw the network of this GTFS feed instead.")
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            min=100,
            max=_MAX_WIDTH,
            help="Width of a PNG in pixels. [default: enough for legible names]",
        ),
    ] = None,
    positions: Annotated[
        Path | None,
        typer.Option(
            help="JSON file to write with the pixel positions of stops, lines and labels."
        ),
    ] = None,
) -> None:
    """Draw a transit map of a generated network or of a GTFS feed.

    Example: **rewardmap draw --out map.png --difficulty 0.7 --width 6000**
    """
    with readable_errors(), disk_errors(out):
        svg = _is_svg(out)
        placed, notes = (
            (_generated(seed, index, difficulty, language or []), ())
            if feed is None
            else _from_feed(feed)
        )
        drawn = draw_map(placed, _style(difficulty, feed is not None), width)
        with staging_file(out) as file:
            file.write_bytes(drawn.svg().encode() if svg else drawn.png())
        if positions is not None:
            with staging_file(positions) as file:
                file.write_bytes(json_bytes(drawn.to_json()))
    text = _summary(out, placed, drawn, svg)
    console = Console()
    for note in notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True, markup=False)
    console.print(text, highlight=False, soft_wrap=True, markup=False)


def _is_svg(out: Path) -> bool:
    """Return whether the file is SVG, and not PNG.

    Raises:
        ConfigError: It is neither.
    """
    suffix = out.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise ConfigError("--out", found=out.name, hint="Write NAME.png or NAME.svg.")
    return suffix == ".svg"


def _style(difficulty: float, real: bool) -> MapStyle:
    """Return the style of a map; nothing that a real city may not have is drawn on its map."""
    style = style_at(difficulty)
    return style.model_copy(update={"scenery": (), "badges": True}) if real else style


def _generated(
    seed: int, index: int, difficulty: float, languages: list[Language]
) -> PlacedNetwork:
    settings = settings_at(difficulty)
    if languages:
        settings = settings.with_languages(language_names(languages))
    return generate_network(seed, index, settings)


def _from_feed(feed: Path) -> tuple[PlacedNetwork, tuple[str, ...]]:
    located = locate_feed(feed, RAIL_TYPES)
    return place_network(located), located.notes


def _summary(out: Path, placed: PlacedNetwork, drawn: DrawnMap, svg: bool) -> str:
    lines, stops = len(placed.network.lines), len(placed.network.stops)
    size = "" if svg else f", {drawn.size[0]} × {drawn.size[1]} pixels"
    return f"{out}: {lines} lines, {stops} stops{size}"
