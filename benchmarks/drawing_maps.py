"""Time to draw a map, from its seed to a PNG and an SVG file, by size.

python benchmarks/drawing_maps.py --maps 3
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from rewardmap_verl.drawing import MapStyle, draw_map, standard_style, style_at, tiny_style
from rewardmap_verl.transit.synthetic import (
    SyntheticSettings,
    generate_network,
    settings_at,
    standard_settings,
    tiny_settings,
)

_COLUMNS = ("network", "layout", "paint", "PNG", "SVG")


def timed(clock: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Run the work and record its CPU seconds."""
    start = time.process_time()
    result = work()
    clock[name] = time.process_time() - start
    return result


def one_map(
    index: int, settings: SyntheticSettings, style: MapStyle, width: int | None
) -> tuple[dict[str, float], int, tuple[int, int], int]:
    """Return CPU seconds by step, stops, size in pixels, and bytes of the PNG."""
    clock: dict[str, float] = {}
    placed = timed(clock, "network", lambda: generate_network(2024, index, settings))
    drawn = timed(clock, "layout", lambda: draw_map(placed, style, width))
    timed(clock, "paint", lambda: drawn.image)
    png = timed(clock, "PNG", drawn.png)
    timed(clock, "SVG", drawn.svg)
    return clock, len(placed.network.stops), drawn.size, len(png)


def cases() -> Iterator[tuple[str, SyntheticSettings, MapStyle, int | None]]:
    """Yield name, network settings, style and width of each case."""
    yield "tiny", tiny_settings(), tiny_style(), None
    yield "standard", standard_settings(), standard_style(), None
    yield "standard, 6,000 px", standard_settings(), standard_style(), 6000
    for knob in (0.25, 0.5, 0.75, 1.0):
        yield f"difficulty {knob}", settings_at(knob), style_at(knob), None
    largest = SyntheticSettings(lines=(20, 20), stops=(400, 400))
    yield "20 lines, 400 stops, 6,000 px", largest, style_at(1.0), 6000


def main(
    maps: Annotated[int, typer.Option(min=1, help="Number of maps of each size.")] = 3,
) -> None:
    """Print the median CPU seconds of each step."""
    table = Table("maps", "stops", "pixels", *_COLUMNS, "MB of PNG", "peak MB")
    for name, settings, style, width in cases():
        runs = [one_map(index, settings, style, width) for index in range(maps)]
        clocks, stops, sizes, files = zip(*runs, strict=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        table.add_row(
            name,
            str(round(statistics.median(stops))),
            " × ".join(str(round(statistics.median(side))) for side in zip(*sizes, strict=True)),
            *(f"{statistics.median(clock[step] for clock in clocks):.2f}" for step in _COLUMNS),
            f"{statistics.median(files) / 1e6:.2f}",
            f"{peak:.0f}",
        )
    Console(width=118).print(table)


if __name__ == "__main__":
    typer.run(main)
