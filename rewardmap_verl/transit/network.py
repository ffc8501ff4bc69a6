"""A city's transit network as immutable data, with lookups of stops and lines by spelling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from itertools import combinations, product
from typing import Any, Final

import networkx as nx

from rewardmap_verl.transit.names import (
    bracket_keys,
    line_key,
    loose_key,
    loose_line_key,
    normalize,
)

__all__ = ["LONGEST_NAME", "Line", "Network", "Stop"]

LONGEST_NAME: Final = 400
"""Longer texts are never looked up. No network has a name half as long."""

_CACHE_SIZE: Final = 2048
"""Lookups that a network caches, since the answers of a group repeat each other."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One place where trains call. The spellings and lines that mean it are already resolved."""

    index: int
    """Position in ``Network.stops``."""
    name: str
    """Display spelling without markers, e.g. "Termini Station"."""
    spellings: tuple[str, ...]
    """Every distinct spelling in the source, without markers; the display spelling first."""
    lines: tuple[str, ...]
    """Names of the lines that call here, in the order of the network's lines."""
    aliases: tuple[str, ...] = ()
    """Additional spellings that an answer may use; never printed."""
    marked: bool = False
    """True if the source marks it as an interchange. A marked stop with a single line is an
    interchange with something that the source does not list, e.g. a railway."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the network."""

    name: str
    """As the source spells it: "Line A", "1", "Azul"."""
    listed: tuple[int, ...]
    """Stop indexes in the order of the source, branches appended after the trunk."""
    paths: tuple[tuple[int, ...], ...]
    """True running order: the trunk, then each branch starting at its junction. Stops adjacent in a
    path are adjacent on the line. A loop ends with its first stop."""
    color: str | None = None
    """``"#rrggbb"``, if known."""
    aliases: tuple[str, ...] = ()
    """Additional names that an answer may use, e.g. "八通线" for Beijing's Line 1."""
    doubtful: bool = False
    """True if the source marks a branch but not where it is appended, so one pair of neighbors in
    ``paths`` may be wrong. No question that counts stops is asked about such a line."""

    @property
    def stops(self) -> tuple[int, ...]:
        """Return the stops of the line, each once, in listed order."""
        return tuple(dict.fromkeys(self.listed))


@dataclass(frozen=True)
class Network:
    """The network of one city.

    Lookups are tolerant of spelling (see ``rewardmap_verl.transit.names``) and exact in meaning:
    they return every stop that a spelling may mean and never guess between them.
    """

    country: str
    city: str
    stops: tuple[Stop, ...]
    lines: tuple[Line, ...]

    @cached_property
    def _stops_by_key(self) -> Mapping[str, tuple[int, ...]]:
        return _index(
            (normalize(text), stop.index)
            for stop in self.stops
            for text in (stop.name, *stop.spellings, *stop.aliases)
        )

    @cached_property
    def _stops_by_partial_name(self) -> Mapping[str, tuple[int, ...]]:
        return _index(
            (key, stop.index)
            for stop in self.stops
            for text in (stop.name, *stop.spellings)
            for key in bracket_keys(text)
        )

    @cached_property
    def _stops_by_spelling(self) -> Mapping[str, tuple[int, ...]]:
        """Return the stops for the exact spellings of the source, which most answers use."""
        return {
            text: self._stops_by_key[normalize(text)]
            for stop in self.stops
            for text in (stop.name, *stop.spellings)
            if normalize(text)
        }

    @cached_property
    def changes_by_name(self) -> Mapping[str, Mapping[str, int]]:
        """Return the number of changes needed from one line to another, by line names.

        Two lines meet where both list a stop of the same name: homonyms count as one place here, as
        in ReasonMap's check of a route (arXiv 2505.18675, algorithm 1), and only here. Unreachable
        lines are omitted.
        """
        graph: nx.Graph[str] = nx.Graph()
        graph.add_nodes_from(line.name for line in self.lines)
        for found in self._stops_by_key.values():
            meeting = dict.fromkeys(name for i in found for name in self.stops[i].lines)
            graph.add_edges_from(combinations(meeting, 2))
        return dict(nx.all_pairs_shortest_path_length(graph))

    def fewest_legs(self, here: Sequence[int], there: Sequence[int]) -> int | None:
        """Return the fewest legs from any of ``here`` to any of ``there``; ``None`` if unreachable.

        0 if they share a stop, otherwise one more than the changes in ``changes_by_name``.
        """
        return self._cached_legs(tuple(here), tuple(there))

    def _count_legs(self, here: tuple[int, ...], there: tuple[int, ...]) -> int | None:
        if not set(here).isdisjoint(there):
            return 0
        changes = self.changes_by_name
        ways = product(self.lines_at(here), self.lines_at(there))
        return min((changes[a][b] + 1 for a, b in ways if b in changes[a]), default=None)

    def lines_at(self, stops: Iterable[int]) -> tuple[str, ...]:
        """Return the names of the lines that call at any of the stops, each once."""
        return tuple(dict.fromkeys(name for stop in stops for name in self.stops[stop].lines))

    @cached_property
    def _lines_by_key(self) -> Mapping[str, tuple[int, ...]]:
        return _index(
            (line_key(text), i)
            for i, line in enumerate(self.lines)
            for text in (line.name, *line.aliases)
        )

    @cached_property
    def _lines_by_name(self) -> Mapping[str, Line]:
        return {line.name: line for line in self.lines}

    @cached_property
    def _members(self) -> Mapping[str, frozenset[int]]:
        return {line.name: frozenset(line.listed) for line in self.lines}

    @cached_property
    def _cached_stops(self) -> Callable[[str], tuple[int, ...]]:
        return lru_cache(_CACHE_SIZE)(self._search_stops)

    @cached_property
    def _cached_line(self) -> Callable[[str], Line | None]:
        return lru_cache(_CACHE_SIZE)(self._search_line)

    @cached_property
    def _cached_legs(self) -> Callable[[tuple[int, ...], tuple[int, ...]], int | None]:
        return lru_cache(_CACHE_SIZE)(self._count_legs)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields without caches; another process rebuilds them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _homonyms(self) -> frozenset[int]:
        return frozenset(s.index for s in self.stops if len(self.find_stops(s.name)) > 1)

    def find_line(self, text: str) -> Line | None:
        """Return the line that a spelling means, or ``None`` if there is none."""
        if len(text) > LONGEST_NAME:
            return None
        return self._lines_by_name.get(text) or self._cached_line(text)

    def _search_line(self, text: str) -> Line | None:
        for key in (line_key(text), loose_line_key(text)):
            found = self._lines_by_key.get(key, ())
            if key and len(found) == 1:
                return self.lines[found[0]]
        return None

    def find_stops(self, text: str) -> tuple[Stop, ...]:
        """Return every stop that a spelling may mean, by index; homonyms give several.

        The full name takes precedence. If no stop has it, a match with one of the two names of a
        stop with a second name in brackets counts, and then the text without what an answer may add
        to a name.
        """
        return tuple(self.stops[i] for i in self.find_indexes(text))

    def find_indexes(self, text: str) -> tuple[int, ...]:
        """Return the indexes of the stops that ``find_stops`` returns."""
        if len(text) > LONGEST_NAME:
            return ()
        return self._stops_by_spelling.get(text) or self._cached_stops(text)

    def is_partial_name(self, text: str) -> bool:
        """Return whether a spelling is only one of the two names that some stop has.

        For "Edgware Road" if the stops are called "Edgware Road (Bakerloo)" and "Edgware Road
        (Circle)". Such stops are different places, other than stops that share a full name.
        """
        key = normalize(text)
        return key not in self._stops_by_key and key in self._stops_by_partial_name

    def _search_stops(self, text: str) -> tuple[int, ...]:
        key = normalize(text)
        return (
            self._stops_by_key.get(key)
            or self._stops_by_partial_name.get(key)
            or self._stops_by_key.get(loose_key(text), ())
        )

    def find_stops_on(self, text: str, line: Line) -> tuple[Stop, ...]:
        """Return the stops of ``line`` that a spelling may mean.

        At most one in almost every network; two for New York's "7 Av" on line B and "36 St" on R.
        """
        return tuple(stop for stop in self.find_stops(text) if self.serves(line, stop.index))

    def find_stop_on(self, text: str, line: Line) -> Stop | None:
        """Return the one stop of ``line`` that a spelling means; ``None`` for none or two."""
        found = self.find_stops_on(text, line)
        return found[0] if len(found) == 1 else None

    def serves(self, line: Line, stop: int) -> bool:
        """Return whether a line calls at a stop."""
        return stop in self._members[line.name]

    def stops_of(self, line: Line) -> frozenset[int]:
        """Return the stops at which a line calls."""
        return self._members[line.name]

    def line(self, name: str) -> Line:
        """Return the line with exactly this name.

        Raises:
            KeyError: There is no such line.
        """
        return self._lines_by_name[name]

    def interchanges(self) -> tuple[Stop, ...]:
        """Return the stops with more than one line; the markers of the lists are ignored."""
        return tuple(stop for stop in self.stops if len(stop.lines) > 1)

    def is_homonym(self, stop: Stop) -> bool:
        """Return whether the printed name of a stop may also mean another stop."""
        return stop.index in self._homonyms


def _index(pairs: Iterable[tuple[str, int]]) -> Mapping[str, tuple[int, ...]]:
    gathered: dict[str, dict[int, None]] = {}
    for key, index in pairs:
        if key:
            gathered.setdefault(key, {})[index] = None
    return {key: tuple(sorted(found)) for key, found in gathered.items()}
