"""Lay out the lines of one network on a grid: shape, branches, shared track, express lines."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from rewardmap_verl.transit.placement import GridPoint
from rewardmap_verl.transit.synthesis.shapes import SHAPES, ring_path
from rewardmap_verl.transit.synthesis.track_grid import (
    DIRECTIONS,
    PathQuery,
    TrackGrid,
    direction_of,
    edges_of,
    find_path,
    find_path_through,
    is_simple,
)

_PROPOSALS_PER_LINE = 24


@dataclass(frozen=True, slots=True)
class LineFeatures:
    """How many lines have each special feature; the others are plain."""

    ring: bool = False
    branches: int = 0
    shared: int = 0
    express: int = 0


@dataclass(frozen=True, slots=True)
class LineLayout:
    """Lines on the grid; ``express`` maps an express line to the line whose track it uses."""

    grid: TrackGrid
    express: dict[int, int]


def lay_out_lines(
    rng: random.Random,
    size: GridPoint,
    shape: str,
    lines: int,
    extras: LineFeatures,
    lines_at_node: int,
) -> LineLayout | None:
    """Lay out all lines; None if the grid has no room for one of them."""
    grid = TrackGrid(*size, lines_at_node=lines_at_node)
    if extras.ring:
        grid.add(0, ring_path(rng, grid))
    proposals = SHAPES[shape](rng, grid, lines)
    plain = lines - min(extras.express, lines // 3)
    for line in range(len(grid.paths), plain):
        sharing = line > 0 and line >= plain - extras.shared
        path = _shared_path(rng, grid, proposals) if sharing else _first_accepted(grid, proposals)
        if path is None:
            return None
        grid.add(line, path)
    _add_branches(rng, grid, extras.branches)
    return _add_express(rng, grid, range(plain, lines))


def _first_accepted(
    grid: TrackGrid, proposals: Iterator[tuple[GridPoint, ...]]
) -> tuple[GridPoint, ...] | None:
    for _ in range(_PROPOSALS_PER_LINE):
        path = find_path_through(grid, next(proposals))
        if path is not None and _is_acceptable(grid, path):
            return path
    return None


def _is_acceptable(grid: TrackGrid, path: tuple[GridPoint, ...]) -> bool:
    """Return whether a path is long enough, connected to the network and reasonably direct."""
    meets = sum(node in grid.nodes for node in path)
    (x0, y0), (x1, y1) = path[0], path[-1]
    reach = max(abs(x1 - x0), abs(y1 - y0))
    long_enough = reach * 5 >= 2 * min(grid.width, grid.height) and len(path) >= 4
    direct = 2 * (len(path) - 1) <= 3 * reach + 2
    return long_enough and direct and (meets > 0 or not grid.nodes)


def _shared_path(
    rng: random.Random, grid: TrackGrid, proposals: Iterator[tuple[GridPoint, ...]]
) -> tuple[GridPoint, ...] | None:
    """Return a path that follows another line's track for part of its length, then leaves it."""
    for _ in range(_PROPOSALS_PER_LINE):
        host = rng.choice(sorted(grid.paths))
        trunk = grid.paths[host][0]
        length = rng.randint(max(2, len(trunk) // 4), max(2, len(trunk) // 2))
        start = rng.randint(0, max(0, len(trunk) - 1 - length))
        enter, leave = trunk[start], trunk[min(start + length, len(trunk) - 1)]
        proposal = next(proposals)
        points = tuple(dict.fromkeys((proposal[0], enter, leave, proposal[-1])))
        path = find_path_through(grid, points, hosts=(host,)) if len(points) == 4 else None
        if path is not None and _is_acceptable(grid, path) and _departs(grid, path):
            return path
    return _first_accepted(grid, proposals)


def _departs(grid: TrackGrid, path: tuple[GridPoint, ...]) -> bool:
    """Return whether a path shares at least two edges and at most two thirds of its track."""
    shared = sum(edge in grid.edges for edge in edges_of(path))
    return 2 <= shared <= (len(path) - 1) * 2 // 3


def _add_branches(rng: random.Random, grid: TrackGrid, count: int) -> None:
    """Give some lines a branch that leaves the trunk in the direction of travel."""
    candidates = [line for line, paths in grid.paths.items() if paths[0][0] != paths[0][-1]]
    rng.shuffle(candidates)
    for line in candidates[:count]:
        for _ in range(_PROPOSALS_PER_LINE):
            arm = _branch_path(rng, grid, grid.paths[line][0])
            if arm is not None:
                grid.add(line, arm)
                break


def _branch_path(
    rng: random.Random, grid: TrackGrid, trunk: tuple[GridPoint, ...]
) -> tuple[GridPoint, ...] | None:
    at = rng.randint(len(trunk) // 3, max(len(trunk) // 3, 3 * len(trunk) // 4))
    if not 0 < at < len(trunk) - 1:
        return None
    heading = direction_of(trunk[at - 1], trunk[at])
    dx, dy = DIRECTIONS[(heading + rng.choice((-2, -1, 1, 2))) % 8]
    reach = rng.randint(3, max(3, len(trunk) // 2))
    goal = (trunk[at][0] + dx * reach, trunk[at][1] + dy * reach)
    if not grid.contains(goal) or goal in grid.nodes:
        return None
    taken = frozenset(trunk) - {trunk[at]}
    arm = find_path(grid, PathQuery(trunk[at], goal, heading, taken))
    return arm if arm and 3 <= len(arm) <= 3 * reach // 2 + 1 and is_simple(arm) else None


def _add_express(rng: random.Random, grid: TrackGrid, lines: range) -> LineLayout | None:
    """Add express lines that use the whole trunk of a long line and skip some of its stops."""
    express: dict[int, int] = {}
    hosts = [n for n, paths in grid.paths.items() if paths[0][0] != paths[0][-1]]
    hosts.sort(key=lambda n: (-len(grid.paths[n][0]), n))
    for line, host in zip(lines, hosts, strict=False):
        trunk = grid.paths[host][0]
        grid.add(line, trunk)
        express[line] = host
    return LineLayout(_refine_grid(grid), express) if len(express) == len(lines) else None


def _refine_grid(grid: TrackGrid) -> TrackGrid:
    """Return the same tracks on a grid with twice the resolution.

    Lines are laid out on a coarse grid and stops are chosen on the fine one, so that two
    interchanges are never adjacent and every label has room.
    """
    fine = TrackGrid(2 * grid.width - 1, 2 * grid.height - 1, grid.lines_at_node)
    for line, paths in grid.paths.items():
        for path in paths:
            between = [(a[0] + b[0], a[1] + b[1]) for a, b in pairwise(path)]
            doubled = [(2 * x, 2 * y) for x, y in path]
            fine.add(line, [*chain(*zip(doubled, between, strict=False)), doubled[-1]])
    return fine
