"""``rewardmap draw``: one map as a picture or as vectors, as large as wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.map_options import Language, language_names

__all__ = ["draw"]

_WIDEST = 30_000


def draw(
    out: Annotated[Path, typer.Argument(help="File to write: NAME.png or NAME.svg.")],
    seed: Annotated[int, typer.Option(help="Every invented map is a function of it.")] = 0,
    index: Annotated[int, typer.Option(min=0, help="Number of the map.")] = 0,
    difficulty: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="0: a small town, two lines. 1: a metropolis, twenty lines."
        ),
    ] = 0.3,
    language: Annotated[
        list[Language] | None,
        typer.Option(help="What names sound like, repeated; one is drawn for each map."),
    ] = None,
    feed: Annotated[
        Path | None, typer.Option(help="Draw the network of a GTFS feed and invent nothing.")
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(min=100, max=_WIDEST, help="Pixels of a PNG [what its names need]."),
    ] = None,
    positions: Annotated[
        Path | None,
        typer.Option(help="JSON file for where stops, lines, labels and legend are, in pixels."),
    ] = None,
) -> None:
    """Draw a transit map: invented, or of a city with a GTFS feed.

    Try it: **rewardmap draw map.png --difficulty 0.7 --width 6000**
    """
    from rewardmap_verl.drawing import draw_map, style_at
    from rewardmap_verl.errors import ConfigError
    from rewardmap_verl.preparation.atomic import disk_errors, write_bytes
    from rewardmap_verl.preparation.prepare import json_bytes
    from rewardmap_verl.preparation.sources.gtfs import place_of_feed
    from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES
    from rewardmap_verl.transit.synthetic import generate_network, settings_at

    with readable_errors(), disk_errors(out):
        if out.suffix.lower() not in (".png", ".svg"):
            raise ConfigError("draw", found=out.name, hint="Write NAME.png or NAME.svg.")
        settings = settings_at(difficulty)
        if language:
            settings = settings.with_languages(language_names(language))
        if feed is None:
            placed = generate_network(seed, index, settings)
        else:
            placed = place_of_feed(feed, RAIL_TYPES)
        drawn = draw_map(placed, style_at(difficulty), width)
        svg = out.suffix.lower() == ".svg"
        write_bytes(out, drawn.svg().encode() if svg else drawn.png())
        if positions is not None:
            write_bytes(positions, json_bytes(drawn.to_json()))
    lines, stops = len(placed.network.lines), len(placed.network.stops)
    said = f"{out}: {lines} lines, {stops} stops"
    said += "" if svg else f", {drawn.size[0]} × {drawn.size[1]} pixels"
    Console().print(said, highlight=False, soft_wrap=True, markup=False)
