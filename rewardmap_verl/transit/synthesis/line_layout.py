"""Lay the lines of one network on a grid: shape, branches, shared track and express lines."""

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
    """How many lines get a speciality; the rest are plain."""

    ring: bool = False
    branches: int = 0
    shared: int = 0
    express: int = 0


@dataclass(frozen=True, slots=True)
class LineLayout:
    """Lines on the grid; ``express`` maps a fast line to the line whose track it runs on."""

    tracks: TrackGrid
    express: dict[int, int]


def lay_out_lines(
    rng: random.Random,
    size: GridPoint,
    shape: str,
    lines: int,
    extras: LineFeatures,
    lines_at_node: int,
) -> LineLayout | None:
    """Lay all lines; None when the grid has no room for one of them."""
    tracks = TrackGrid(*size, lines_at_node=lines_at_node)
    if extras.ring:
        tracks.add(0, ring_path(rng, tracks))
    proposals = SHAPES[shape](rng, tracks, lines)
    plain = lines - min(extras.express, lines // 3)
    for line in range(len(tracks.paths), plain):
        sharing = line > 0 and line >= plain - extras.shared
        path = (
            _shared_path(rng, tracks, proposals) if sharing else _first_accepted(tracks, proposals)
        )
        if path is None:
            return None
        tracks.add(line, path)
    _add_branches(rng, tracks, extras.branches)
    return _add_express(rng, tracks, range(plain, lines))


def _first_accepted(
    tracks: TrackGrid, proposals: Iterator[tuple[GridPoint, ...]]
) -> tuple[GridPoint, ...] | None:
    for _ in range(_PROPOSALS_PER_LINE):
        path = find_path_through(tracks, next(proposals))
        if path is not None and _is_acceptable(tracks, path):
            return path
    return None


def _is_acceptable(tracks: TrackGrid, path: tuple[GridPoint, ...]) -> bool:
    """Long enough, joined to the rest, and not winding."""
    meets = sum(node in tracks.nodes for node in path)
    (x0, y0), (x1, y1) = path[0], path[-1]
    reach = max(abs(x1 - x0), abs(y1 - y0))
    long_enough = reach * 5 >= 2 * min(tracks.width, tracks.height) and len(path) >= 4
    direct = 2 * (len(path) - 1) <= 3 * reach + 2
    return long_enough and direct and (meets > 0 or not tracks.nodes)


def _shared_path(
    rng: random.Random, tracks: TrackGrid, proposals: Iterator[tuple[GridPoint, ...]]
) -> tuple[GridPoint, ...] | None:
    """A line that runs on another line's track for a good part of its way, then leaves it."""
    for _ in range(_PROPOSALS_PER_LINE):
        host = rng.choice(sorted(tracks.paths))
        trunk = tracks.paths[host][0]
        length = rng.randint(max(2, len(trunk) // 4), max(2, len(trunk) // 2))
        start = rng.randint(0, max(0, len(trunk) - 1 - length))
        enter, leave = trunk[start], trunk[min(start + length, len(trunk) - 1)]
        proposal = next(proposals)
        points = tuple(dict.fromkeys((proposal[0], enter, leave, proposal[-1])))
        path = find_path_through(tracks, points, hosts=(host,)) if len(points) == 4 else None
        if path is not None and _is_acceptable(tracks, path) and _departs(tracks, path):
            return path
    return _first_accepted(tracks, proposals)


def _departs(tracks: TrackGrid, path: tuple[GridPoint, ...]) -> bool:
    """Whether a line shares some of its track and has at least as much of its own."""
    shared = sum(edge in tracks.edges for edge in edges_of(path))
    return 2 <= shared <= (len(path) - 1) * 2 // 3


def _add_branches(rng: random.Random, tracks: TrackGrid, count: int) -> None:
    """Give some lines a second arm that leaves the trunk in the direction of travel."""
    candidates = [line for line, paths in tracks.paths.items() if paths[0][0] != paths[0][-1]]
    rng.shuffle(candidates)
    for line in candidates[:count]:
        for _ in range(_PROPOSALS_PER_LINE):
            arm = _branch_path(rng, tracks, tracks.paths[line][0])
            if arm is not None:
                tracks.add(line, arm)
                break


def _branch_path(
    rng: random.Random, tracks: TrackGrid, trunk: tuple[GridPoint, ...]
) -> tuple[GridPoint, ...] | None:
    at = rng.randint(len(trunk) // 3, max(len(trunk) // 3, 3 * len(trunk) // 4))
    if not 0 < at < len(trunk) - 1:
        return None
    heading = direction_of(trunk[at - 1], trunk[at])
    dx, dy = DIRECTIONS[(heading + rng.choice((-2, -1, 1, 2))) % 8]
    reach = rng.randint(3, max(3, len(trunk) // 2))
    goal = (trunk[at][0] + dx * reach, trunk[at][1] + dy * reach)
    if not tracks.contains(goal) or goal in tracks.nodes:
        return None
    taken = frozenset(trunk) - {trunk[at]}
    arm = find_path(tracks, PathQuery(trunk[at], goal, heading, taken))
    return arm if arm and 3 <= len(arm) <= 3 * reach // 2 + 1 and is_simple(arm) else None


def _add_express(rng: random.Random, tracks: TrackGrid, lines: range) -> LineLayout | None:
    """Fast lines run on the whole trunk of a long line and call at some of its stops."""
    express: dict[int, int] = {}
    hosts = [n for n, paths in tracks.paths.items() if paths[0][0] != paths[0][-1]]
    hosts.sort(key=lambda n: (-len(tracks.paths[n][0]), n))
    for line, host in zip(lines, hosts, strict=False):
        trunk = tracks.paths[host][0]
        tracks.add(line, trunk)
        express[line] = host
    return LineLayout(_refine_grid(tracks), express) if len(express) == len(lines) else None


def _refine_grid(tracks: TrackGrid) -> TrackGrid:
    """The same tracks on a grid twice as fine.

    Lines are layout on a coarse grid and trains may call on the fine one, so that two interchanges
    are never next to each other and every name finds room.
    """
    fine = TrackGrid(2 * tracks.width - 1, 2 * tracks.height - 1, tracks.lines_at_node)
    for line, paths in tracks.paths.items():
        for path in paths:
            between = [(a[0] + b[0], a[1] + b[1]) for a, b in pairwise(path)]
            doubled = [(2 * x, 2 * y) for x, y in path]
            fine.add(line, [*chain(*zip(doubled, between, strict=False)), doubled[-1]])
    return fine
