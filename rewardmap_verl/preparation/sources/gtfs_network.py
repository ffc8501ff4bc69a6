"""The network of a GTFS feed: its lines, their stations, and the order in which trains run.

Only what the trips of the chosen routes use is read, so faults elsewhere do not matter.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.gtfs_extras import feed_language, walking_pairs
from rewardmap_verl.preparation.sources.gtfs_lines import LineRoutes, group_routes, read_routes
from rewardmap_verl.preparation.sources.gtfs_order import Pattern, running_order
from rewardmap_verl.preparation.sources.gtfs_stations import Station, distance, read_stations
from rewardmap_verl.preparation.sources.gtfs_tables import Feed
from rewardmap_verl.transit.network import Line, Network, Stop

__all__ = ["RAIL_TYPES", "Located", "network_of_feed"]

RAIL_TYPES: Final = (0, 1, 2, 5, 6, 7, 11, 12, *range(100, 118), *range(400, 406), 900)
"""Trams, metros, trains and the like, in the basic and the extended list of ``route_type``."""

_NO_STOP: Final = "1"
"""``pickup_type`` and ``drop_off_type`` of a train that passes without stopping."""


@dataclass(frozen=True, slots=True)
class Located:
    """A network with the positions of its stops."""

    network: Network
    places: tuple[tuple[float, float], ...]
    """(latitude, longitude) in degrees, in the order of ``network.stops``."""
    notes: tuple[str, ...] = ()
    """What was decided where the feed leaves a choice."""
    language: str = "english"
    """Language of the other words on the map."""
    walks: tuple[tuple[int, int], ...] = ()
    """Pairs of stops between which the feed has a transfer."""


def network_of_feed(
    feed: Feed, country: str, city: str, route_types: Sequence[int] = RAIL_TYPES
) -> Located:
    """Read the network of a feed.

    Args:
        feed: The feed.
        country: Name of the country.
        city: Name of the city.
        route_types: Values of ``route_type`` to include.

    Raises:
        DataError: A table or column is missing, a value that the chosen lines need is wrong, or no
            route of these types has a trip with two stops.
    """
    routes = read_routes(feed, route_types)
    route_of = _trips(feed, routes)
    calls, notes = _calls(feed, route_of)
    trips: defaultdict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for trip, stops in calls.items():
        trips[route_of[trip]][stops] += 1
    if not trips:
        raise _no_route(feed)
    names = {route: routes[route].name for route in trips}
    found = read_stations(feed, _by_name(trips, names))
    patterns = {route: _patterns(some, found.of_stop) for route, some in trips.items()}
    patterns = {route: some for route, some in patterns.items() if some}
    if not patterns:
        raise _no_route(feed)
    reach = {
        route: frozenset(station for pattern in some for station in pattern)
        for route, some in patterns.items()
    }
    lines, renamed = group_routes([routes[route] for route in routes if route in patterns], reach)
    counts = {route: sum(some.values()) for route, some in patterns.items()}
    built = [
        _Built(line, _order(line, patterns, found.by_id), line.color(counts)) for line in lines
    ]
    located = _network(country, city, built, found.by_id)
    inferred = [
        f"Line {one.line.name}: no trip runs along its whole main path; the order of its stops is "
        "put together from several trips."
        for one in built
        if not _has_full_trip(one, patterns)
    ]
    language = feed_language(feed, (stop.name for stop in located.network.stops))
    walks = walking_pairs(feed, found.of_stop, _stations_of(built), notes)
    all_notes = (*renamed, *notes, *found.notes, *inferred)
    return Located(located.network, located.places, all_notes, language, walks)


def _has_full_trip(one: _Built, patterns: Mapping[str, Counter[Pattern]]) -> bool:
    trunk = set(one.paths[0])
    return any(trunk <= set(trip) for route in one.line.routes for trip in patterns[route.id])


def _no_route(feed: Feed) -> DataError:
    return DataError(
        feed.path,
        "routes.txt, route_type",
        sorted({row.get("route_type") for row in feed.rows("routes", ("route_type",))}),
        "No route of the chosen types has a trip with two stops. Choose types of this feed with "
        "--route-type.",
    )


def _trips(feed: Feed, routes: Collection[str]) -> dict[str, str]:
    """Return the route of each trip of the chosen routes.

    Raises:
        DataError: A trip is listed for two routes.
    """
    found: dict[str, str] = {}
    for row in feed.rows("trips", ("trip_id", "route_id")):
        route = row.get("route_id")
        if route not in routes:
            continue
        trip = row.need("trip_id")
        if found.setdefault(trip, route) != route:
            hint = f"This trip is already listed for route {found[trip]}."
            raise DataError(row.where, "trip_id", trip, hint)
    return found


def _calls(feed: Feed, trips: Collection[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the stops of each trip, in order of ``stop_sequence``, then of the file.

    Raises:
        DataError: A row of a chosen trip has no stop or no number.
    """
    calls: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in feed.rows("stop_times", ("trip_id", "stop_id", "stop_sequence")):
        trip = row.get("trip_id")
        passes = row.get("pickup_type") == row.get("drop_off_type") == _NO_STOP
        if trip in trips and not passes:
            calls[trip].append((row.number("stop_sequence"), row.need("stop_id")))
    repeated = [trip for trip, some in calls.items() if len({n for n, _ in some}) < len(some)]
    notes = []
    if repeated:
        notes.append(
            f"{len(repeated)} trips, such as {repeated[0]}, repeat a stop_sequence; these stops "
            "are taken in the order of the file."
        )
    ordered = {
        trip: tuple(stop for _, stop in sorted(some, key=lambda call: call[0]))
        for trip, some in calls.items()
    }
    return ordered, notes


def _by_name(
    trips: Mapping[str, Collection[tuple[str, ...]]], names: Mapping[str, str]
) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for route, some in trips.items():
        found.setdefault(names[route], []).extend(some)
    return found


def _patterns(
    trips: Mapping[tuple[str, ...], int], station_of: Mapping[str, str]
) -> Counter[Pattern]:
    """Return the sequences of stations, both directions as one, with the number of trips."""
    found: Counter[Pattern] = Counter()
    for stops, count in trips.items():
        pattern = _without_repeats([station_of[stop] for stop in stops])
        if len(pattern) > 1:
            found[min(pattern, pattern[::-1])] += count
    return found


def _without_repeats(stations: Sequence[str]) -> Pattern:
    """Drop calls at the station where the train already is, at another platform."""
    return tuple(s for i, s in enumerate(stations) if i == 0 or s != stations[i - 1])


@dataclass(frozen=True, slots=True)
class _Built:
    line: LineRoutes
    paths: Sequence[Pattern]
    color: str | None


def _order(
    line: LineRoutes, patterns: Mapping[str, Counter[Pattern]], stations: Mapping[str, Station]
) -> list[Pattern]:
    together: Counter[Pattern] = Counter()
    for route in line.routes:
        together.update(patterns[route.id])
    return running_order(together, lambda a, b: distance(stations[a], stations[b]))


def _stations_of(built: Sequence[_Built]) -> list[str]:
    """Return the stations in the order of the network's stops."""
    return list(dict.fromkeys(s for one in built for path in one.paths for s in path))


def _network(
    country: str, city: str, built: Sequence[_Built], stations: Mapping[str, Station]
) -> Located:
    used = _stations_of(built)
    index = {station: i for i, station in enumerate(used)}
    lines = []
    for one in built:
        numbered = tuple(tuple(index[station] for station in path) for path in one.paths)
        listed = tuple(dict.fromkeys(stop for path in numbered for stop in path))
        lines.append(Line(one.line.name, listed, numbered, one.color, one.line.aliases))
    stops = tuple(
        Stop(
            i,
            stations[station].name,
            (stations[station].name,),
            tuple(line.name for line in lines if i in line.listed),
        )
        for i, station in enumerate(used)
    )
    places = tuple((stations[s].latitude, stations[s].longitude) for s in used)
    return Located(Network(country, city, stops, tuple(lines)), places)
