"""From the tables of a GTFS feed to a network: which lines there are, and where their trains run.

A line is what riders call by one name: all routes of the same short (or else long) name. A stop is
a station with all its platforms. The trips of a line show its running order: the longest is the
trunk, and what others add to it are branches.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.gtfs_tables import Feed, TableRow
from rewardmap_verl.transit.names import line_key, normalize
from rewardmap_verl.transit.network import Line, Network, Stop

__all__ = ["RAIL_TYPES", "Located", "network_of_feed", "running_order"]

RAIL_TYPES: Final = (0, 1, 2, 5, 6, 7, 11, 12, *range(100, 118), *range(400, 406), 900)
"""Trams, metros, trains and the like, in the basic and the extended list of ``route_type``."""

_SAME_PLACE: Final = 500.0  # metres between platforms of one name that are one station
_METRES: Final = 111_320.0  # for a degree of latitude
_COLOR: Final = re.compile(r"[0-9a-fA-F]{6}")
_NAME_LENGTH: Final = 300

_Pattern = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """A network and where its stops lie."""

    network: Network
    places: tuple[tuple[float, float], ...]
    """(latitude, longitude) in degrees, in the order of ``network.stops``."""


@dataclass(frozen=True, slots=True)
class _Station:
    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class _Route:
    name: str
    color: str | None


def network_of_feed(
    feed: Feed, country: str, city: str, route_types: Sequence[int] = RAIL_TYPES
) -> Located:
    """Read the network of a feed.

    Args:
        feed: The feed.
        country: What to call the country.
        city: What to call the city.
        route_types: Kinds of routes to take, numbers of GTFS's ``route_type``.

    Raises:
        DataError: A table or column is missing, a value is wrong, a stop is missing that a trip
            calls at, or no line of these kinds has two stops.
    """
    routes = _routes(feed, route_types)
    trips = {
        row.need("trip_id"): row.need("route_id")
        for row in feed.rows("trips", ("trip_id", "route_id"))
        if row.get("route_id") in routes
    }
    stations, station_of = _stations(feed)
    patterns = _patterns(feed, trips, routes, station_of)
    lines = {name: running_order(found) for name, found in patterns.items()}
    lines = {name: paths for name, paths in lines.items() if paths}
    if not lines:
        raise DataError(
            feed.path,
            "routes.txt, route_type",
            sorted({row.get("route_type") for row in feed.rows("routes", ("route_type",))}),
            "No route of the wished kinds has a trip with two stops. Name kinds that are here with "
            "--route-type.",
        )
    return _build(country, city, lines, _colors(lines, routes), stations)


def _routes(feed: Feed, route_types: Sequence[int]) -> dict[str, _Route]:
    """Return the routes of the wished kinds by ``route_id``."""
    routes: dict[str, _Route] = {}
    names: dict[str, str] = {}
    for row in feed.rows("routes", ("route_id", "route_type")):
        if row.number("route_type") in route_types:
            own = _name(row.get("route_short_name") or row.get("route_long_name"))
            if not own or not line_key(own):
                hint = "A route needs a short or a long name."
                raise DataError(row.where, "route_short_name", own, hint)
            name = names.setdefault(line_key(own), own)
            color = row.get("route_color")
            color = f"#{color.lower()}" if _COLOR.fullmatch(color) else ""
            routes[row.need("route_id")] = _Route(name, color or None)
    return routes


def _name(text: str) -> str:
    """Make a name fit to be printed: no control characters, no angle brackets, single spaces."""
    printable = "".join(c if c.isprintable() and c not in "<>" else " " for c in text)
    return " ".join(printable.split())[:_NAME_LENGTH]


def _stations(feed: Feed) -> tuple[dict[str, _Station], dict[str, str]]:
    """Return the stations by id, and the station of each ``stop_id``."""
    rows = {
        row.need("stop_id"): row
        for row in feed.rows("stops", ("stop_id", "stop_name", "stop_lat", "stop_lon"))
    }
    parents = {stop: _parent(stop, rows) for stop in rows}
    stations: dict[str, _Station] = {}
    merged: dict[str, str] = {}
    by_name: defaultdict[str, list[str]] = defaultdict(list)
    for station in dict.fromkeys(parents.values()):
        found = _station(rows[station])
        if found is None:
            continue  # entrances and nodes inside of stations have no name; no train calls there
        near = [
            s for s in by_name[normalize(found.name)] if _metres(stations[s], found) < _SAME_PLACE
        ]
        merged[station] = near[0] if near else station
        if not near:
            stations[station] = found
            by_name[normalize(found.name)].append(station)
    return stations, {stop: merged[up] for stop, up in parents.items() if up in merged}


def _parent(stop: str, rows: Mapping[str, TableRow]) -> str:
    """Follow ``parent_station`` to the station."""
    seen = [stop]
    while (up := rows[seen[-1]].get("parent_station")) and up not in seen:
        if up not in rows:
            hint = "stops.txt has no such station."
            raise DataError(rows[seen[-1]].where, "parent_station", up, hint)
        seen.append(up)
    return seen[-1]


def _station(row: TableRow) -> _Station | None:
    name = _name(row.get("stop_name"))
    if not name or not normalize(name):
        return None
    latitude, longitude = row.number("stop_lat"), row.number("stop_lon")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        place = f"{latitude}, {longitude}"
        raise DataError(
            row.where, "stop_lat, stop_lon", place, "Give degrees of latitude, longitude."
        )
    return _Station(name, latitude, longitude)


def _metres(a: _Station, b: _Station) -> float:
    across = (a.longitude - b.longitude) * math.cos(math.radians((a.latitude + b.latitude) / 2))
    return math.hypot(across, a.latitude - b.latitude) * _METRES


def _patterns(
    feed: Feed,
    trips: Mapping[str, str],
    routes: Mapping[str, _Route],
    station_of: Mapping[str, str],
) -> dict[str, Counter[_Pattern]]:
    """Return, for each line, the sequences of stations that its trips call at, both ways as one."""
    calls: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in feed.rows("stop_times", ("trip_id", "stop_id", "stop_sequence")):
        trip = row.get("trip_id")
        if trip in trips:
            stop = row.need("stop_id")
            if stop not in station_of:
                raise DataError(
                    row.where, "stop_id", stop, "stops.txt has no such stop with a name."
                )
            calls[trip].append((row.number("stop_sequence"), station_of[stop]))
    patterns: defaultdict[str, Counter[_Pattern]] = defaultdict(Counter)
    for trip, route in trips.items():
        pattern = _without_repeats([station for _, station in sorted(calls[trip])])
        if len(pattern) > 1:
            patterns[routes[route].name][min(pattern, pattern[::-1])] += 1
    return dict(sorted(patterns.items()))


def _without_repeats(stations: Sequence[str]) -> _Pattern:
    """Drop calls at the station where the train already is, at another platform."""
    return tuple(s for i, s in enumerate(stations) if i == 0 or s != stations[i - 1])


def running_order(patterns: Mapping[_Pattern, int]) -> list[_Pattern]:
    """Return the trunk of a line and its branches, each starting where it leaves what came before.

    Args:
        patterns: Sequences of stations with the number of trips that run them.
    """
    ordered = sorted(patterns, key=lambda p: (-len(p), -patterns[p], p))
    paths: list[_Pattern] = []
    covered: set[str] = set()
    for pattern in ordered:
        paths.extend([pattern] if not paths else _additions(pattern, covered))
        covered.update(pattern)
    return paths


def _additions(pattern: _Pattern, covered: set[str]) -> Iterator[_Pattern]:
    """Yield the pieces of a pattern that lead through stations not covered yet."""
    start = 0
    while start < len(pattern):
        if pattern[start] in covered:
            start += 1
            continue
        end = start
        while end < len(pattern) and pattern[end] not in covered:
            end += 1
        piece = pattern[max(0, start - 1) : end + 1]
        yield piece if start else piece[::-1]  # a branch starts at its junction
        start = end


def _colors(
    lines: Mapping[str, Sequence[_Pattern]], routes: Mapping[str, _Route]
) -> dict[str, str | None]:
    """Return the feed's color of each line; drawing replaces those that cannot be told apart."""
    chosen: dict[str, str | None] = dict.fromkeys(lines)
    for route in routes.values():
        if route.name in chosen and chosen[route.name] is None:
            chosen[route.name] = route.color
    return chosen


def _build(
    country: str,
    city: str,
    lines: Mapping[str, Sequence[_Pattern]],
    colors: Mapping[str, str | None],
    stations: Mapping[str, _Station],
) -> Located:
    used = list(dict.fromkeys(s for paths in lines.values() for path in paths for s in path))
    index = {station: i for i, station in enumerate(used)}
    built = []
    for name, paths in lines.items():
        numbered = tuple(tuple(index[station] for station in path) for path in paths)
        listed = tuple(dict.fromkeys(stop for path in numbered for stop in path))
        built.append(Line(name, listed, numbered, colors[name]))
    stops = tuple(
        Stop(
            i,
            stations[station].name,
            (stations[station].name,),
            tuple(line.name for line in built if i in line.listed),
        )
        for i, station in enumerate(used)
    )
    places = tuple((stations[s].latitude, stations[s].longitude) for s in used)
    return Located(Network(country, city, stops, tuple(built)), places)
