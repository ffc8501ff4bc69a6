"""Generate transit networks from a seed: any number of them, none in any training corpus.

``generate_network(7, 0, standard_settings())`` is the same network on every machine: it depends on
(seed, index, settings) only and is computed on an integer grid.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations
from math import dist
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork
from rewardmap_verl.transit.synthesis.line_layout import LineFeatures, LineLayout, lay_out_lines
from rewardmap_verl.transit.synthesis.palette import PALETTE
from rewardmap_verl.transit.synthesis.ranges import Range
from rewardmap_verl.transit.synthesis.stop_names import ascii_slug, generate_stop_names
from rewardmap_verl.transit.synthesis.stop_selection import select_stops, stops_along

__all__ = [
    "Language",
    "SyntheticSettings",
    "generate_network",
    "settings_at",
    "standard_settings",
    "tiny_settings",
]

_ATTEMPTS = 40
_MAX_SHORT_NAMES = 40


ShapeName = Literal["radial", "grid", "ring", "grown"]
Language = Literal[
    "short", "english", "german", "french", "spanish", "nordic", "cyrillic", "greek", "chinese"
]


class SyntheticSettings(BaseModel):
    """Parameters of the generated networks. Ranges are (minimum, maximum), both inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: Range = (5, 10)
    """Number of lines, 2 to 20."""
    stops: Range = (30, 90)
    """Number of stops, 4 to 400."""
    shapes: tuple[ShapeName, ...] = Field(default=("radial", "grid", "ring", "grown"), min_length=1)
    """Families of networks; one is drawn per network."""
    branches: Range = (0, 2)
    """Number of lines with a branch."""
    shared: Range = (0, 2)
    """Number of lines that use another line's track for part of their length."""
    express: Range = (0, 1)
    """Number of express lines that follow another line throughout and call at few of its stops."""
    lines_at_node: int = Field(default=3, ge=2, le=4)
    """Maximum number of lines that meet in one stop, not counting express lines."""
    spacing: int = Field(default=150, ge=100, le=400)
    """Grid nodes per 100 stops: empty track between stops, and so room for labels."""
    walks: Range = (0, 2)
    """Number of walking links between stops of different lines."""
    languages: tuple[Language, ...] = Field(default=("english",), min_length=1)
    """Languages of the names; one is drawn per network. "short" names have four or five letters;
    "chinese" names need a font that is installed separately (see ``drawing.fonts``)."""
    line_names: tuple[Literal["numbers", "letters", "colors"], ...] = Field(
        default=("numbers",), min_length=1
    )
    """Style of line names: "Line 1", "Line A" or "Red Line"."""

    @model_validator(mode="after")
    def _check_sizes(self) -> SyntheticSettings:
        if not 2 <= self.lines[0] <= self.lines[1] <= len(PALETTE):
            raise ValueError(f"lines must be within 2 to {len(PALETTE)}; got {self.lines}")
        if not 4 <= self.stops[0] <= self.stops[1] <= 400:
            raise ValueError(f"stops must be within 4 to 400; got {self.stops}")
        if "short" in self.languages and self.stops[1] > _MAX_SHORT_NAMES:
            raise ValueError(
                f"short names are enough for at most {_MAX_SHORT_NAMES} stops; got {self.stops}"
            )
        if self.stops[1] < 3 * self.lines[0]:
            raise ValueError(
                f"{self.stops[1]} stops are too few for {self.lines[0]} lines; "
                "allow at least three stops per line"
            )
        return self

    def with_languages(self, languages: tuple[str, ...]) -> SyntheticSettings:
        """Return the same settings with names of other languages.

        Raises:
            ConfigError: There are fewer "short" names than stops.
        """
        if "short" in languages and self.stops[1] > _MAX_SHORT_NAMES:
            raise ConfigError(
                "networks",
                "languages",
                "short",
                f"There are short names for {_MAX_SHORT_NAMES} stops and there may be "
                f"{self.stops[1]}; choose another language.",
            )
        return SyntheticSettings(**{**self.model_dump(), "languages": languages})


def tiny_settings() -> SyntheticSettings:
    """Return settings for models with few visual tokens: 2 to 4 lines, 6 to 14 stops."""
    return SyntheticSettings(
        lines=(2, 4),
        stops=(6, 14),
        shapes=("radial", "grid", "grown"),
        branches=(0, 0),
        shared=(0, 0),
        express=(0, 0),
        walks=(0, 0),
        spacing=130,
        languages=("short",),
    )


def standard_settings() -> SyntheticSettings:
    """Return settings for a mid-sized city: 5 to 10 lines, 30 to 90 stops."""
    return SyntheticSettings()


def settings_at(difficulty: float) -> SyntheticSettings:
    """Return settings for a difficulty from 0 (2 to 4 lines) to 1 (16 to 20 lines).

    Raises:
        ConfigError: The difficulty is not within 0 to 1.
    """
    if not 0 <= difficulty <= 1:
        raise ConfigError("difficulty", "", difficulty, "Pass a number from 0 to 1.")

    def between(low: int, high: int) -> int:
        return round(low + (high - low) * difficulty)

    return SyntheticSettings(
        lines=(between(2, 16), between(4, 20)),
        stops=(between(16, 260), between(30, 400)),
        branches=(0, between(0, 4)),
        shared=(0, between(0, 4)),
        express=(0, between(0, 2)),
        walks=(0, between(0, 8)),
        lines_at_node=2 if difficulty < 0.25 else 3,
        languages=("english", "german", "french", "spanish", "nordic", "cyrillic", "greek"),
        line_names=("numbers", "letters"),
    )


def generate_network(seed: int, index: int, settings: SyntheticSettings) -> PlacedNetwork:
    """Generate network ``index`` of a seed: connected, and placed on a grid for drawing.

    Raises:
        ConfigError: No network of the requested size was found.
    """
    sizes = random.Random(f"{seed}/{index}/size")
    lines = sizes.randint(*settings.lines)
    stops = sizes.randint(max(settings.stops[0], 3 * lines), max(settings.stops[1], 3 * lines))
    for attempt in range(_ATTEMPTS):
        rng = random.Random(f"{seed}/{index}/{attempt}")
        layout = _lay(rng, settings, lines, stops, attempt)
        chosen = select_stops(rng, layout.grid, stops) if layout else None
        if layout and chosen:
            placed = _name_and_place(rng, settings, layout, chosen, f"{seed}_{index}")
            return replace(placed, walks=_walks(placed, seed, index, settings))
    raise ConfigError(
        "synthetic settings",
        "lines, stops, branches, shared, express",
        f"no network of {lines} lines and {stops} stops in {_ATTEMPTS} attempts",
        "Ask for more stops or fewer lines, branches and express lines.",
    )


def _walks(
    placed: PlacedNetwork, seed: int, index: int, settings: SyntheticSettings
) -> tuple[tuple[int, int], ...]:
    """Return pairs of stops within two grid nodes of each other that no line joins.

    A generator of its own keeps the network the same with any number of walking links.
    """
    rng = random.Random(f"{seed}/{index}/walks")
    near = [
        (a.index, b.index)
        for a, b in combinations(placed.network.stops, 2)
        if dist(placed.positions[a.index], placed.positions[b.index]) <= 2
        and not set(a.lines) & set(b.lines)
    ]
    return tuple(rng.sample(near, min(rng.randint(*settings.walks), len(near))))


def _lay(
    rng: random.Random, settings: SyntheticSettings, lines: int, stops: int, attempt: int
) -> LineLayout | None:
    shape = rng.choice(settings.shapes)
    extras = LineFeatures(
        ring=shape == "ring" and lines >= 3,
        branches=rng.randint(*settings.branches),
        shared=min(rng.randint(*settings.shared), lines - 2),
        express=rng.randint(*settings.express),
    )
    size = _grid_size(stops * settings.spacing // 100, lines, attempt)
    return lay_out_lines(rng, size, shape, lines, extras, settings.lines_at_node)


def _grid_size(nodes: int, lines: int, attempt: int) -> GridPoint:
    """Return a grid about one third filled with track, wider than high, wide enough for long lines.

    Later attempts try other sizes, since one may be too small for the lines and another too large
    for the stops.
    """
    along = nodes * 10 // (16 * lines)
    area = 25 * nodes // 20
    width = 4
    while width * (width * 7 // 10) < area:
        width += 1
    width = max(5, max(along, width) * (100 + (0, 15, -12, 30)[attempt % 4]) // 100)
    return width, max(4, width * 7 // 10)


def _name_and_place(
    rng: random.Random,
    settings: SyntheticSettings,
    layout: LineLayout,
    chosen: frozenset,
    label: str,
) -> PlacedNetwork:
    language = rng.choice(settings.languages)
    calls = _calls_per_line(rng, layout, chosen)
    positions = tuple(dict.fromkeys(point for paths in calls for path in paths for point in path))
    where = {point: i for i, point in enumerate(positions)}
    names = generate_stop_names(rng, len(positions) + 1, language)
    colors = rng.sample(PALETTE[: max(8, len(calls))], len(calls))
    titles = _name_lines(rng.choice(settings.line_names), [name for name, _ in colors])
    lines = tuple(
        _line(title, color, [tuple(where[p] for p in path) for path in paths])
        for title, (_, color), paths in zip(titles, colors, calls, strict=True)
    )
    stops = tuple(
        Stop(i, name, (name,), tuple(line.name for line in lines if i in line.listed))
        for i, name in enumerate(names[:-1])
    )
    city = f"{ascii_slug(names[-1]) or language}_{label}"
    courses = tuple(tuple(paths) for _, paths in sorted(layout.grid.paths.items()))
    return PlacedNetwork(
        Network("synthetic", city, stops, lines), positions, courses, names[-1], 1.0, language
    )


def _calls_per_line(rng: random.Random, layout: LineLayout, chosen: frozenset) -> list[list[tuple]]:
    """Return the stops of each line and each of its paths, in running order."""
    calls = []
    for line, paths in sorted(layout.grid.paths.items()):
        stops = [stops_along(path, chosen) for path in paths]
        calls.append([_express_stops(rng, layout, stops[0])] if line in layout.express else stops)
    return calls


def _express_stops(rng: random.Random, layout: LineLayout, stops: tuple) -> tuple:
    """Return the stops of an express line: both ends, interchanges, and a few in between."""
    kept = [
        stop
        for i, stop in enumerate(stops)
        if i in (0, len(stops) - 1) or len(layout.grid.nodes[stop]) > 2 or rng.random() < 0.25
    ]
    return tuple(kept) if len(kept) > 2 else (stops[0], stops[len(stops) // 2], stops[-1])


def _line(name: str, color: str, paths: list[tuple[int, ...]]) -> Line:
    listed = paths[0] + tuple(stop for path in paths[1:] for stop in path[1:])
    return Line(name, listed, tuple(paths), color)


def _name_lines(kind: str, colors: list[str]) -> list[str]:
    if kind == "colors":
        return [f"{color} Line" for color in colors]
    if kind == "letters":
        return [f"Line {chr(ord('A') + i)}" for i in range(len(colors))]
    return [f"Line {i + 1}" for i in range(len(colors))]
