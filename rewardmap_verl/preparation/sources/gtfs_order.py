"""The running order of a line, from the sequences of stations that its trips call at.

The longest sequence is the trunk. Other sequences add their stations to it: between two neighbors
if the trunk only skips them, interleaved if both call at different stations of one track (skip-stop
service), at an end as an extension, and as a branch otherwise. A trunk whose ends are connected is
a circle, even if no single trip runs all around.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import pairwise
from typing import Final

__all__ = ["Distance", "Pattern", "running_order"]

Pattern = tuple[str, ...]
"""Station ids in the order of a trip."""

Distance = Callable[[str, str], float]
"""The distance of two stations, in any unit."""

_EXTRA: Final = 0.2
"""Stations are on one track if interleaving them adds at most this part of the shorter course."""
_ALIKE: Final = 0.6
"""Courses of one track are about equally long: shorter to longer at least."""
_DETOUR: Final = 3.0
"""A course this many times as long as the direct one is another track, not a skipped stretch."""
_MAX_PAIRS: Final = 100_000
"""Product of the lengths of two courses up to which they are compared."""
_CLOSED: Final = 0.4
"""Ends are neighbors on a circle if their distance is at most this part of the path between them.
Only needed where all evidence is a trip with two stops."""


def running_order(
    patterns: Mapping[Pattern, int], distance: Distance | None = None
) -> list[Pattern]:
    """Return the trunk of a line and its branches, each branch starting at its junction.

    Args:
        patterns: Sequences of stations with the number of trips that run them.
        distance: Distance of two stations. Without it, skip-stop service looks like branches.
    """
    ordered = sorted(patterns, key=lambda one: (-len(one), -patterns[one], one))
    pieces = [piece for pattern in ordered for piece in _simple_pieces(pattern)]
    line = reduce(_Order.with_piece, pieces, _Order((), distance))
    return [_closed(line.paths[0], ordered, distance), *line.paths[1:]] if line.paths else []


def _simple_pieces(pattern: Pattern) -> Iterator[Pattern]:
    """Split a sequence so that no piece repeats a station, except a circle its first at its end."""
    piece: list[str] = []
    for station in pattern:
        if station in piece:
            first = piece.index(station)
            if first:
                yield tuple(piece[: first + 1])
            if len(piece) - first > 2:
                yield (*piece[first:], station)
            else:
                yield tuple(piece[first:])  # out and back on one track
            piece = []
        piece.append(station)
    if len(piece) > 1:
        yield tuple(piece)


@dataclass(frozen=True)
class _Order:
    """The paths of a line so far."""

    paths: tuple[Pattern, ...]
    distance: Distance | None = field(compare=False)

    @cached_property
    def _covered(self) -> frozenset[str]:
        return frozenset(station for path in self.paths for station in path)

    def with_piece(self, piece: Pattern) -> _Order:
        """Add the stations of a piece, one run of new stations at a time."""
        if not self.paths:
            return _Order((piece,), self.distance)
        order = self
        while (run := _first_run(piece, order._covered)) is not None:
            start, end = run
            before = piece[start - 1] if start else None
            after = piece[end] if end < len(piece) else None
            order = order._with_run(piece[start:end], before, after)
        return order

    def _with_run(self, run: Pattern, before: str | None, after: str | None) -> _Order:
        """Add new stations that follow ``before`` and precede ``after``, known stations or None."""
        if before is None:
            run, before, after = run[::-1], after, None
        if before is None:
            return self._plus(run)
        if after is None:
            return self._with_end(before, run)
        if before == after:
            return self._plus((before, *run, before) if len(run) > 1 else (before, *run))
        return self._with_middle(before, run, after)

    def _plus(self, path: Pattern) -> _Order:
        return _Order((*self.paths, path), self.distance)

    def _replaced(self, number: int, path: Pattern) -> _Order:
        return _Order((*self.paths[:number], path, *self.paths[number + 1 :]), self.distance)

    def _with_middle(self, before: str, run: Pattern, after: str) -> _Order:
        for number, path in enumerate(self.paths):
            if before in path and after in path:
                merged = _merged(path, before, run, after, self.distance)
                if merged is not None:
                    return self._replaced(number, merged)
                if (path[0], path[-1]) == (after, before):
                    return self._replaced(number, (*path, *run, after))
                if (path[0], path[-1]) == (before, after):
                    return self._replaced(number, (*path, *run[::-1], before))
        return self._plus((before, *run, after))

    def _with_end(self, junction: str, run: Pattern) -> _Order:
        for number, path in enumerate(self.paths):
            merged = _merged_end(path, junction, run, self.distance)
            if merged is not None:
                return self._replaced(number, merged)
        through = [number for number, path in enumerate(self.paths) if junction in path]
        path = self.paths[through[0]]
        if len(through) == 1 and path[0] != path[-1] and junction in (path[0], path[-1]):
            extended = (*path, *run) if junction == path[-1] else (*run[::-1], *path)
            return self._replaced(through[0], extended)
        return self._plus((junction, *run))


def _first_run(piece: Pattern, covered: frozenset[str]) -> tuple[int, int] | None:
    """Return start and end of the first run of new stations."""
    start = next((i for i, station in enumerate(piece) if station not in covered), None)
    if start is None:
        return None
    end = next((i for i in range(start, len(piece)) if piece[i] in covered), len(piece))
    return start, end


def _merged(
    path: Pattern, before: str, run: Pattern, after: str, distance: Distance | None
) -> Pattern | None:
    """Return the path with a run between two of its stations; ``None`` if it is another track."""
    first, last = path.index(before), path.index(after)
    if first > last:
        first, last, run = last, first, run[::-1]
    if path[0] == path[-1] and first == 0 and last == len(path) - 2:
        first, last = last, len(path) - 1  # neighbors across the end of a circle
        run = run[::-1]
    section = path[first : last + 1]
    course = (section[0], *run, section[-1])
    if len(section) == 2:
        direct = distance is None or _length(course, distance) <= _DETOUR * distance(*section)
        return (*path[:first], *course, *path[last + 1 :]) if direct else None
    if distance is None:
        return None
    longer, shorter = sorted((_length(section, distance), _length(course, distance)))[::-1]
    order = _interleaved(section[1:-1], run, section[0], section[-1], distance)
    if order is None:
        return None
    extra = _length((section[0], *order, section[-1]), distance) - longer
    if shorter < _ALIKE * longer or extra > _EXTRA * shorter:
        return None
    return (*path[: first + 1], *order, *path[last:])


def _merged_end(
    path: Pattern, junction: str, run: Pattern, distance: Distance | None
) -> Pattern | None:
    """Return the path with a run that leaves a station along it; ``None`` if it is a branch."""
    if distance is None or junction not in path or path[0] == path[-1]:
        return None
    place = path.index(junction)
    onward = _on_track(junction, path[place + 1 :], run, distance)
    if onward is not None:
        return (*path[: place + 1], *onward)
    backward = _on_track(junction, path[:place][::-1], run, distance)
    return None if backward is None else (*backward[::-1], *path[place:])


def _on_track(start: str, rest: Pattern, run: Pattern, distance: Distance) -> Pattern | None:
    """Interleave two courses from one station if they share a track."""
    if not rest:
        return None
    lengths = [_length((start, *course), distance) for course in (rest, run)]
    order = _interleaved(rest, run, start, None, distance)
    if order is None:
        return None
    extra = _length((start, *order), distance) - max(lengths)
    return order if extra <= _EXTRA * min(lengths) else None


_State = tuple[int, int, int]
"""Stations taken of the first and of the second course, and which of them gave the last one."""


def _interleaved(
    first: Pattern, second: Pattern, start: str, end: str | None, distance: Distance
) -> Pattern | None:
    """Return the shortest course from ``start`` (to ``end``) that keeps the order of both.

    ``None`` if they are too long to compare.
    """
    if len(first) * len(second) > _MAX_PAIRS:
        return None
    best: dict[_State, tuple[float, _State | None]] = {(0, 0, 0): (0.0, None)}
    for i in range(len(first) + 1):
        for j in range(len(second) + 1):
            for state in ((i, j, 0), (i, j, 1)):
                ways = list(_ways(state, best, first, second, start, distance))
                if ways:
                    best[state] = min(ways, key=lambda way: way[0])
    ends = [key for k in (0, 1) if (key := (len(first), len(second), k)) in best]
    tail = {
        key: best[key][0] + (distance(_last(key, first, second), end) if end else 0.0)
        for key in ends
    }
    return _traced(min(tail, key=tail.__getitem__), best, first, second)


def _ways(
    state: _State,
    best: Mapping[_State, tuple[float, _State | None]],
    first: Pattern,
    second: Pattern,
    start: str,
    distance: Distance,
) -> Iterator[tuple[float, _State]]:
    """Yield the length of each course that ends in a state, with the state before."""
    i, j, part = state
    i, j = (i - 1, j) if part == 0 else (i, j - 1)
    if min(i, j) < 0:
        return
    here = _last(state, first, second)
    for before in ((i, j, 0), (i, j, 1)):
        if before in best:
            there = start if i == j == 0 else _last(before, first, second)
            yield best[before][0] + distance(there, here), before


def _last(state: _State, first: Pattern, second: Pattern) -> str:
    i, j, part = state
    return first[i - 1] if part == 0 else second[j - 1]


def _traced(
    state: _State,
    best: Mapping[_State, tuple[float, _State | None]],
    first: Pattern,
    second: Pattern,
) -> Pattern:
    """Follow the states back to the start and return their stations in order."""
    found: list[str] = []
    here: _State | None = state
    while here is not None and here != (0, 0, 0):
        found.append(_last(here, first, second))
        here = best[here][1]
    return tuple(found[::-1])


def _length(course: Sequence[str], distance: Distance) -> float:
    return sum(distance(a, b) for a, b in pairwise(course))


def _closed(path: Pattern, patterns: Sequence[Pattern], distance: Distance | None) -> Pattern:
    """Return a path with its first station at its end if trips run from one end to the other."""
    if len(path) < 3 or path[0] == path[-1]:
        return path
    ends = {path[0], path[-1]}
    linking = [one for one in patterns if any({a, b} == ends for a, b in pairwise(one))]
    if any(len(one) > 2 for one in linking):
        return (*path, path[0])
    if linking and distance is not None:
        near = distance(path[0], path[-1]) <= _CLOSED * _length(path, distance)
        return (*path, path[0]) if near else path
    return path
