"""Lines of a GTFS feed: which routes are one line, and what it is called.

Routes of one name are one line if they have the same agency and the same mode. Two lines of one
name are told apart by agency, mode, long name or id. Routes that are the two directions of a line
("Red-N", "Red-S") become one line if they have one color and call at the same stations.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.gtfs_stations import printable_name
from rewardmap_verl.preparation.sources.gtfs_tables import Feed, TableRow
from rewardmap_verl.transit.names import line_key

__all__ = ["LineRoutes", "Route", "group_routes", "read_routes"]

_COLOR: Final = re.compile(r"#?([0-9a-fA-F]{6})")
_SHARED: Final = 0.6  # part of the stations that two directions of a line have in common

_MODES: Final = (
    ("tram", (0, 5, *range(900, 1000))),
    ("metro", (1, 12, *range(400, 500))),
    ("rail", (2, *range(100, 200), *range(300, 400))),
    ("bus", (3, 11, *range(200, 300), *range(700, 900))),
    ("ferry", (4, *range(1000, 1100), *range(1200, 1300))),
    ("cable car", (6, *range(1300, 1400))),
    ("funicular", (7, *range(1400, 1500))),
)

_OPPOSITES: Final = (
    ("n", "s"),
    ("e", "w"),
    ("nb", "sb"),
    ("eb", "wb"),
    ("north", "south"),
    ("east", "west"),
    ("northbound", "southbound"),
    ("eastbound", "westbound"),
    ("inbound", "outbound"),
    ("in", "out"),
    ("up", "down"),
)
_DIRECTION: Final = re.compile(
    r"(?P<stem>.*?\w)[\s/_–(\[-]+(?P<way>"
    + "|".join(word for pair in _OPPOSITES for word in pair)
    + r")[)\]]?",
    re.IGNORECASE,
)
_ENDS: Final = re.compile(r"\s+(?:to|-|–|—|→|⇒|>|/)\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Route:
    """A row of routes.txt."""

    id: str
    where: str
    name: str
    """Short name, or else long name."""
    long_name: str
    agency_id: str
    agency: str
    """Name of the agency; its id, or "", if the feed does not name it."""
    mode: str
    color: str | None
    """``"#rrggbb"``, if the feed has one."""


@dataclass(frozen=True, slots=True)
class LineRoutes:
    """A line with its routes."""

    name: str
    routes: tuple[Route, ...]
    aliases: tuple[str, ...] = ()
    """Names of the merged directions."""

    def color(self, trips: Mapping[str, int]) -> str | None:
        """Return the color of the route with most trips that has one."""
        colored = [route for route in self.routes if route.color]
        return max(colored, key=lambda one: trips[one.id]).color if colored else None


def read_routes(feed: Feed, route_types: Sequence[int]) -> dict[str, Route]:
    """Return the routes of the chosen types by ``route_id``.

    Raises:
        DataError: A value is wrong, or one of these routes is listed twice with different values.
    """
    agencies = _agencies(feed)
    rows: dict[str, TableRow] = {}
    for row in feed.rows("routes", ("route_id", "route_type")):
        if row.number("route_type") not in route_types:
            continue
        key = row.need("route_id")
        if key in rows and rows[key].values != row.values:
            hint = f"This id is already used in {rows[key].where}, with other values."
            raise DataError(row.where, "route_id", key, hint)
        rows[key] = row
    return {key: _route(row, agencies) for key, row in rows.items()}


def _agencies(feed: Feed) -> Mapping[str, str]:
    """Return the names of the agencies by id."""
    if not feed.has("agency"):
        return {}
    return {
        row.get("agency_id"): printable_name(row.get("agency_name"))
        for row in feed.rows("agency", ())
    }


def _route(row: TableRow, agencies: Mapping[str, str]) -> Route:
    short, long = (printable_name(row.get(f"route_{one}_name")) for one in ("short", "long"))
    color = _COLOR.fullmatch(row.get("route_color"))
    # Routes of the only agency of a feed need not name it.
    agency = next(iter(agencies)) if len(agencies) == 1 else row.get("agency_id")
    kind = int(row.number("route_type"))
    return Route(
        id=row.need("route_id"),
        where=row.where,
        name=short if line_key(short) else long,
        long_name=long,
        agency_id=agency,
        agency=agencies.get(agency) or agency,
        mode=next((name for name, kinds in _MODES if kind in kinds), f"type {kind}"),
        color=f"#{color[1].lower()}" if color else None,
    )


def group_routes(
    routes: Sequence[Route], stations: Mapping[str, frozenset[str]]
) -> tuple[list[LineRoutes], list[str]]:
    """Group routes into lines with different names.

    Args:
        routes: The routes that have trips.
        stations: The stations that each route calls at, by ``route_id``.

    Returns:
        The lines, by name, and notes about lines that were renamed or merged.

    Raises:
        DataError: A route has no name.
    """
    for route in routes:
        if not line_key(route.name):
            hint = "A route needs a short or a long name."
            raise DataError(route.where, "route_short_name", route.name, hint)
    groups: dict[tuple[str, str, str], list[Route]] = {}
    for route in routes:
        groups.setdefault((line_key(route.name), route.agency_id, route.mode), []).append(route)
    lines = [LineRoutes(some[0].name, tuple(some)) for some in groups.values()]
    lines = [part for line in lines for part in _connected(line, stations)]
    lines, merged = _merge_directions(lines, stations)
    lines, renamed = _unique_names(lines)
    return sorted(lines, key=lambda line: line.name), [*merged, *renamed]


def _connected(line: LineRoutes, stations: Mapping[str, frozenset[str]]) -> list[LineRoutes]:
    """Split routes of one name that have no station in common, such as trams of two towns."""
    parts: list[tuple[list[Route], set[str]]] = []
    for route in line.routes:
        touching = [part for part in parts if part[1] & stations[route.id]]
        some = [*(one for part in touching for one in part[0]), route]
        reach = set(stations[route.id]).union(*(part[1] for part in touching))
        parts = [part for part in parts if part not in touching] + [(some, reach)]
    return [replace(line, routes=tuple(some)) for some, _ in parts]


def _merge_directions(
    lines: Sequence[LineRoutes], stations: Mapping[str, frozenset[str]]
) -> tuple[list[LineRoutes], list[str]]:
    """Merge pairs of lines that are the two directions of one."""
    taken = Counter(line_key(line.name) for line in lines)
    pairs: defaultdict[tuple[str, ...], list[LineRoutes]] = defaultdict(list)
    for line in lines:
        for key, _ in _direction_keys(line):
            pairs[key].append(line)
    merged: dict[int, LineRoutes] = {}
    notes = []
    for key, some in pairs.items():
        if len(some) != 2 or any(id(one) in merged for one in some):
            continue
        stem = next(stem for found, stem in _direction_keys(some[0]) if found == key)
        free = not taken[line_key(stem)] or stem in {one.name for one in some}
        if free and _same_track(some[0], some[1], stations):
            aliases = tuple(one.name for one in some if one.name != stem)
            both = LineRoutes(stem, (*some[0].routes, *some[1].routes), aliases)
            merged[id(some[0])] = merged[id(some[1])] = both
            notes.append(f"{some[0].name} and {some[1].name} are read as one line, {stem}.")
    return list(dict.fromkeys(merged.get(id(line), line) for line in lines)), notes


def _direction_keys(line: LineRoutes) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield keys that the two directions of a line share, each with the name of the line."""
    route = line.routes[0]
    owner = (route.agency_id, route.mode, route.color or "")
    match = _DIRECTION.fullmatch(line.name)
    if match:
        way = match["way"].lower()
        pair = next(pair for pair in _OPPOSITES if way in pair)
        yield (*owner, match["stem"].lower(), *pair), match["stem"]
    ends = _ENDS.split(line.name)
    if len(ends) == 2 and all(ends):
        yield (*owner, *sorted(end.lower() for end in ends)), line.name


def _same_track(
    first: LineRoutes, second: LineRoutes, stations: Mapping[str, frozenset[str]]
) -> bool:
    a, b = (
        frozenset[str]().union(*(stations[route.id] for route in line.routes))
        for line in (first, second)
    )
    different = first.name.lower() != second.name.lower()
    return different and len(a & b) >= _SHARED * max(len(a), len(b))


_QUALIFIERS: Final[tuple[Callable[[Route], str], ...]] = (
    lambda route: route.agency,
    lambda route: route.mode,
    lambda route: f"{route.agency}, {route.mode}",
    lambda route: route.long_name,
    lambda route: route.id,
)
"""What tells lines of one name apart, in order of preference."""


def _unique_names(lines: Sequence[LineRoutes]) -> tuple[list[LineRoutes], list[str]]:
    """Add what tells them apart to the names of lines that share one."""
    by_key: defaultdict[str, list[LineRoutes]] = defaultdict(list)
    for line in lines:
        by_key[line_key(line.name)].append(line)
    found, notes = [], []
    for some in by_key.values():
        named = some if len(some) == 1 else _qualified(some)
        found += named
        if len(some) > 1:
            names = ", ".join(line.name for line in named)
            notes.append(f"{len(some)} lines are called {some[0].name}; on the map: {names}.")
    return list(_numbered(found)), notes


def _numbered(lines: Sequence[LineRoutes]) -> Iterator[LineRoutes]:
    """Yield the lines with a number behind names that are still the same."""
    seen: Counter[str] = Counter()
    for line in lines:
        key = line_key(line.name)
        seen[key] += 1
        yield replace(line, name=f"{line.name} #{seen[key]}") if seen[key] > 1 else line


def _qualified(lines: Sequence[LineRoutes]) -> list[LineRoutes]:
    for qualifier in _QUALIFIERS:
        words = [qualifier(line.routes[0]) for line in lines]
        names = [f"{line.name} ({word})" for line, word in zip(lines, words, strict=True)]
        different = len({line_key(name) for name in names}) == len(names)
        if different and all(line_key(word) for word in words):
            return [replace(line, name=name) for line, name in zip(lines, names, strict=True)]
    numbered = enumerate(lines, 1)
    return [replace(line, name=f"{line.name} ({number})") for number, line in numbered]
