"""Pocket networks: three to five short lines on a small grid, one stop per cell.

A model of two million parameters learns to read them on a CPU, while a route with a transfer stays
hard to guess. ``generate_pocket_network(7, 0, PocketSettings())`` is the same network on every
machine.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork
from rewardmap_verl.transit.synthesis.palette import PALETTE
from rewardmap_verl.transit.synthesis.ranges import Range

__all__ = ["STOP_NAMES", "PocketSettings", "generate_pocket_network"]

STOP_NAMES: Final[tuple[str, ...]] = (
    *("Alp", "Arc", "Ark", "Ash", "Bay", "Bee", "Box", "Cat", "Cob", "Cup", "Dot", "Eel", "Elm"),
    *("Fen", "Fig", "Fir", "Fox", "Gas", "Hat", "Hop", "Hub", "Ice", "Ink", "Inn", "Ivy", "Jar"),
    *("Jet", "Key", "Kit", "Lea", "Lid", "Log", "Net", "Nut", "Oat", "Orb", "Owl", "Pea", "Pin"),
    *("Pub", "Ray", "Rib", "Rod", "Sea", "Sky", "Sun", "Tap", "Tin", "Tor", "Urn", "Vat", "Yak"),
    *("Zip", "Zoo"),
)
"""Names of stops, short enough for one cell."""

_ATTEMPTS: Final = 400
_WALKS_PER_LINE: Final = 60
_CHANCE_OF_A_BEND: Final = 0.3

Path = tuple[GridPoint, ...]
Step = tuple[int, int]

_DIRECTIONS: Final[tuple[tuple[Step, ...], ...]] = (
    ((1, 0), (1, 1), (1, -1)),
    ((0, 1), (1, 1), (-1, 1)),
)
"""Steps of a line that runs east, and of one that runs south; the first is straight on."""


class PocketSettings(BaseModel):
    """Shape of the networks. Ranges are (minimum, maximum), both inclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=8, ge=3, le=12)
    """Columns of the grid."""
    height: int = Field(default=6, ge=3, le=12)
    """Rows of the grid."""
    lines: Range = (3, 5)
    """Number of lines. Each line after the first meets the earlier ones in exactly one stop, so
    there is one route between any two stops."""
    stops: Range = (3, 5)
    """Number of stops of a line."""
    colors: int = Field(default=8, ge=2, le=8)
    """Size of the palette of the lines; a line is named after its color."""

    @model_validator(mode="after")
    def _check(self) -> PocketSettings:
        if self.lines[0] < 2 or self.stops[0] < 3:
            raise ValueError("a network needs at least two lines of three stops")
        if self.lines[1] > self.colors:
            raise ValueError(f"{self.lines[1]} lines need as many colors, not {self.colors}")
        most = self.lines[1] * (self.stops[1] - 1) + 1
        if most > len(STOP_NAMES):
            raise ValueError(f"up to {most} stops, but there are {len(STOP_NAMES)} names")
        return self


def generate_pocket_network(seed: int, index: int, settings: PocketSettings) -> PlacedNetwork:
    """Generate network number ``index`` of a seed: connected, without shared or crossing tracks.

    At most two lines meet in a stop, and a line stops in every cell that it passes. Every line runs
    from west to east or from north to south without turning back.

    Raises:
        ConfigError: The lines do not fit on the grid.
    """
    lines = random.Random(f"{seed}/{index}/size/pocket").randint(*settings.lines)
    for attempt in range(_ATTEMPTS):
        rng = random.Random(f"{seed}/{index}/{attempt}/pocket")
        paths = _lay(rng, settings, lines)
        if paths:
            return _name(rng, settings, paths, f"pocket_{seed}_{index}")
    raise ConfigError(
        "pocket networks",
        "width, height, lines, stops",
        f"no network of {lines} lines in {_ATTEMPTS} attempts",
        "Use a larger grid, or fewer or shorter lines.",
    )


def _lay(rng: random.Random, settings: PocketSettings, lines: int) -> list[Path]:
    """Return the cells of each line in running order, or nothing if a line does not fit."""
    paths: list[Path] = []
    for _ in range(lines):
        path = next((p for p in _walks(rng, settings) if _fits(p, paths)), ())
        if not path:
            return []
        paths.append(path)
    rng.shuffle(paths)
    return paths


def _walks(rng: random.Random, settings: PocketSettings) -> list[Path]:
    walks = (_walk(rng, settings) for _ in range(_WALKS_PER_LINE))
    return [walk for walk in walks if walk]


def _walk(rng: random.Random, settings: PocketSettings) -> Path:
    """Return a path of adjacent cells in one direction, or nothing if it leaves the grid."""
    steps = rng.choice(_DIRECTIONS)
    step = rng.choice(steps)
    path = [(rng.randrange(settings.width), rng.randrange(settings.height))]
    for _ in range(rng.randint(*settings.stops) - 1):
        if rng.random() < _CHANCE_OF_A_BEND:
            step = rng.choice(steps)
        x, y = path[-1][0] + step[0], path[-1][1] + step[1]
        if not (0 <= x < settings.width and 0 <= y < settings.height):
            return ()
        path.append((x, y))
    return tuple(path)


def _fits(path: Path, others: Sequence[Path]) -> bool:
    """Return whether a path meets the other lines in one stop of one line and crosses no track."""
    if not others:
        return True
    taken = Counter(cell for other in others for cell in other)
    meetings = [taken[cell] for cell in path if cell in taken]
    crossings = _diagonals(path, mirrored=True) & set().union(*map(_diagonals, others))
    return meetings == [1] and not crossings


def _diagonals(path: Path, mirrored: bool = False) -> set[tuple[GridPoint, GridPoint]]:
    """Return the diagonal steps of a path as pairs of cells, or those that would cross them."""
    pairs = set()
    for (ax, ay), (bx, by) in pairwise(path):
        if ax != bx and ay != by:
            a, b = ((ax, by), (bx, ay)) if mirrored else ((ax, ay), (bx, by))
            pairs.add((min(a, b), max(a, b)))
    return pairs


def _name(
    rng: random.Random, settings: PocketSettings, paths: Sequence[Path], city: str
) -> PlacedNetwork:
    cells = tuple(dict.fromkeys(cell for path in paths for cell in path))
    where = {cell: index for index, cell in enumerate(cells)}
    names = rng.sample(STOP_NAMES, len(cells))
    colors = rng.sample(PALETTE[: settings.colors], len(paths))
    lines = tuple(
        _line(name, color, tuple(where[cell] for cell in path))
        for (name, color), path in zip(colors, paths, strict=True)
    )
    stops = tuple(
        Stop(i, name, (name,), tuple(line.name for line in lines if i in line.listed))
        for i, name in enumerate(names)
    )
    courses = tuple((path,) for path in paths)
    return PlacedNetwork(Network("synthetic", city, stops, lines), cells, courses)


def _line(color: str, code: str, stops: tuple[int, ...]) -> Line:
    return Line(f"{color} Line", stops, (stops,), code)
