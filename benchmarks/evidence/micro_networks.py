"""Micro networks: two or three short lines whose stops are single letters on a small grid.

A model of one million parameters learns to read them within minutes on a CPU, while a route with a
transfer remains almost impossible to guess. The study runs on them (see ``docs/evidence.md``).
``generate_micro_network(7, 0, MicroSettings())`` is the same network on every machine.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork
from rewardmap_verl.transit.synthesis.palette import PALETTE

__all__ = ["LETTERS", "MicroSettings", "generate_micro_network"]

LETTERS: Final = "ABCDEFGHJKLMNPRTUXYZ"
"""Names of stops. I, O, Q, S, V and W are left out: too similar to others at ten pixels."""

_ATTEMPTS = 300
_WALKS_PER_LINE = 50
_CHANCE_OF_A_BEND = 0.25
_STEPS: tuple[GridPoint, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))

Path = tuple[GridPoint, ...]


class MicroSettings(BaseModel):
    """Shape of the networks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=5, ge=2, le=12)
    """Columns of the grid."""
    height: int = Field(default=4, ge=2, le=12)
    """Rows of the grid."""
    fewest_lines: int = Field(default=2, ge=2, le=6)
    """Lines of the smallest network. Each after the first meets the earlier ones in one stop."""
    most_lines: int = Field(default=3, ge=2, le=6)
    """Lines of the largest network."""
    fewest_stops: int = Field(default=3, ge=3, le=8)
    """Stops of the shortest line."""
    most_stops: int = Field(default=4, ge=3, le=8)
    """Stops of the longest line."""
    colors: int = Field(default=6, ge=2, le=8)
    """Size of the palette that line colors are drawn from; a line is named after its color."""
    letters: int = Field(default=len(LETTERS), ge=5, le=len(LETTERS))
    """Number of letters that stop names are drawn from."""

    @model_validator(mode="after")
    def _check(self) -> MicroSettings:
        if self.fewest_lines > self.most_lines or self.fewest_stops > self.most_stops:
            raise ValueError(
                "fewest_lines and fewest_stops must not exceed most_lines and most_stops"
            )
        if self.most_lines > self.colors:
            raise ValueError(f"{self.most_lines} lines need as many colors, not {self.colors}")
        if self.most_lines * (self.most_stops - 1) + 1 > self.letters:
            raise ValueError(
                f"{self.most_lines} lines of {self.most_stops} stops may need more than"
                f" {self.letters} letters"
            )
        return self


def generate_micro_network(seed: int, index: int, settings: MicroSettings) -> PlacedNetwork:
    """Generate network number ``index`` of a seed: connected, without shared tracks.

    At most two lines meet at a stop. A line stops in every cell that it passes.

    Raises:
        ConfigError: The lines do not fit on the grid.
    """
    sizes = random.Random(f"{seed}/{index}/size/micro")
    lines = sizes.randint(settings.fewest_lines, settings.most_lines)
    for attempt in range(_ATTEMPTS):
        rng = random.Random(f"{seed}/{index}/{attempt}/micro")
        paths = _lay(rng, settings, lines)
        if paths:
            return _name(rng, settings, paths, f"micro_{seed}_{index}")
    raise ConfigError(
        "micro networks",
        "width, height, most_lines, most_stops",
        f"no network of {lines} lines in {_ATTEMPTS} attempts",
        "Use a larger grid, or fewer or shorter lines.",
    )


def _lay(rng: random.Random, settings: MicroSettings, lines: int) -> list[Path]:
    """Return the cells of each line in running order, or nothing when a line does not fit."""
    paths: list[Path] = []
    for _ in range(lines):
        taken = Counter(cell for path in paths for cell in path)
        path = _first_accepted(rng, settings, taken)
        if not path:
            return []
        paths.append(path)
    return paths


def _first_accepted(rng: random.Random, settings: MicroSettings, taken: Counter[GridPoint]) -> Path:
    """Return a path that meets the earlier lines in one stop, which serves one of them."""
    length = rng.randint(settings.fewest_stops, settings.most_stops)
    for _ in range(_WALKS_PER_LINE):
        path = _walk(rng, settings, length)
        meets = [taken[cell] for cell in path if taken[cell]]
        if path and meets == ([1] if taken else []):
            return path
    return ()


def _walk(rng: random.Random, settings: MicroSettings, length: int) -> Path:
    """Return a mostly straight path of adjacent cells, or nothing when it leaves the grid."""
    path = [(rng.randrange(settings.width), rng.randrange(settings.height))]
    heading = rng.randrange(4)
    while len(path) < length:
        if rng.random() < _CHANCE_OF_A_BEND:
            heading = (heading + rng.choice((1, 3))) % 4
        step = _STEPS[heading]
        cell = path[-1][0] + step[0], path[-1][1] + step[1]
        inside = 0 <= cell[0] < settings.width and 0 <= cell[1] < settings.height
        if not inside or cell in path:
            return ()
        path.append(cell)
    return tuple(path)


def _name(
    rng: random.Random, settings: MicroSettings, paths: Sequence[Path], city: str
) -> PlacedNetwork:
    cells = tuple(dict.fromkeys(cell for path in paths for cell in path))
    where = {cell: index for index, cell in enumerate(cells)}
    letters = rng.sample(LETTERS[: settings.letters], len(cells))
    colors = rng.sample(PALETTE[: settings.colors], len(paths))
    lines = tuple(
        _line(name, color, tuple(where[cell] for cell in path))
        for (name, color), path in zip(colors, paths, strict=True)
    )
    stops = tuple(
        Stop(i, letter, (letter,), tuple(line.name for line in lines if i in line.listed))
        for i, letter in enumerate(letters)
    )
    courses = tuple((path,) for path in paths)
    return PlacedNetwork(Network("synthetic", city, stops, lines), cells, courses)


def _line(color: str, code: str, stops: tuple[int, ...]) -> Line:
    return Line(f"{color} Line", stops, (stops,), code)
