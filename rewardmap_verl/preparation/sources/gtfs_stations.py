"""Stations of a GTFS feed: which stops are platforms of one station, and where stations are.

``parent_station`` decides wherever the feed has it: stops with different parents are different
stations. Stops without a parent are platforms of one station if they share a name and are close, or
if their names differ only in a platform ("Central - Platform 1"). Only the stops that the chosen
lines use are read, so the others may have any fault.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.sources.gtfs_tables import Feed, TableRow
from rewardmap_verl.transit.names import normalize

__all__ = ["Station", "Stations", "distance", "printable_name", "read_stations"]

_SAME_NAME: Final = 500.0  # meters between stops of one name, without parents, of one station
_PLATFORMS: Final = 150.0  # meters between platforms of one station
_CLOSE: Final = 30.0  # meters between stops of one line that are reported
_CALLED_APART: Final = 100.0  # meters between two calls of one trip at different stations
_NULL_ISLAND: Final = 0.01  # degrees around 0, 0, where no stop is
_OUTLIER: Final = 500_000.0  # meters to the nearest stop from which coordinates are checked
_OUTLIER_RATIO: Final = 20.0  # the same, relative to the median
_METERS: Final = 111_320.0  # per degree of latitude
_MAX_NAME: Final = 300

_NUMBERED: Final = re.compile(r"(?P<stem>.*?[^\W_].*?)(?:_\d+)+")
"""A name that a feed made unique with numbers, such as "Balderas_1_2" in Mexico City's."""

_PLATFORM: Final = re.compile(
    r"(?P<stem>.*\w[)\]]?)\W+"
    r"(?:platform|plat|bay|track|gleis|steig|bahnsteig|quai|voie|and[eé]n|v[ií]a|binario|stop|"
    r"perron|spoor|peron|kolej)\.?\s*(?:no\.?\s*)?[a-z]?\d*[a-z]?[)\]]*",
    re.IGNORECASE,
)
_BOUND: Final = re.compile(
    r"(?P<stem>.*\w[)\]]?)\W+"
    r"(?:[nsew]b|(?:north|south|east|west|in|out)-?bound)[)\]]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Station:
    """A station with its position in degrees."""

    name: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Stations:
    """The stations that the chosen trips call at."""

    by_id: Mapping[str, Station]
    of_stop: Mapping[str, str]
    """Station id of each used ``stop_id``."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Root:
    """The topmost row above a stop: its station, or the stop itself."""

    id: str
    declared: bool
    """Whether the feed calls it a station: by ``location_type``, or as the parent of a stop."""


def distance(a: Station, b: Station) -> float:
    """Return the distance of two stations in meters, also across the 180th meridian."""
    across = (a.longitude - b.longitude + 180) % 360 - 180
    across *= math.cos(math.radians((a.latitude + b.latitude) / 2))
    return math.hypot(across, a.latitude - b.latitude) * _METERS


def printable_name(text: str) -> str:
    """Make a name printable: no control characters, no angle brackets, single spaces."""
    printable = "".join(c if c.isprintable() and c not in "<>" else " " for c in text)
    return " ".join(printable.split())[:_MAX_NAME]


def read_stations(feed: Feed, calls: Mapping[str, Collection[Sequence[str]]]) -> Stations:
    """Read the stations of the stops that trips call at.

    Args:
        feed: The feed.
        calls: For each line, the sequences of ``stop_id`` of its trips.

    Raises:
        DataError: A stop is missing, listed twice with different values, or has no name or no
            usable coordinates; or ``parent_station`` is circular.
    """
    used = dict.fromkeys(stop for some in calls.values() for trip in some for stop in trip)
    rows, twice = _read_rows(feed)
    roots = _Roots(rows, twice)
    root_of = {stop: roots.find(stop, feed) for stop in used}
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for stop, root in root_of.items():
        parts[root.id].append(stop)
    found = {root: _station(rows, root, stops) for root, stops in parts.items()}
    _check_positions(found, rows)
    declared = {root.id for root in root_of.values() if root.declared}
    trips = {tuple(root_of[stop].id for stop in trip) for some in calls.values() for trip in some}
    groups = _Groups(found, declared, trips)
    stations, merged = groups.merge()
    notes = [*roots.notes(), *_numbered_names(rows, used), *groups.notes]
    of_stop = {stop: merged[root.id] for stop, root in root_of.items()}
    free = {key: stations[key] for key in set(merged.values()) - declared}
    notes += _close_stops(calls, of_stop, free)
    return Stations(stations, of_stop, tuple(notes))


def _read_rows(feed: Feed) -> tuple[dict[str, TableRow], dict[str, TableRow]]:
    """Return the stops by id, and the rows that repeat an id with other values."""
    rows: dict[str, TableRow] = {}
    twice: dict[str, TableRow] = {}
    for row in feed.rows("stops", ("stop_id", "stop_name", "stop_lat", "stop_lon")):
        stop = row.get("stop_id")
        if stop in rows and rows[stop].values != row.values:
            twice[stop] = row
        rows.setdefault(stop, row)
    return rows, twice


class _Roots:
    """The station above each stop."""

    def __init__(self, rows: Mapping[str, TableRow], twice: Mapping[str, TableRow]) -> None:
        self._rows, self._twice = rows, twice
        self._orphans: dict[str, None] = {}

    def find(self, stop: str, feed: Feed) -> _Root:
        """Follow ``parent_station`` to the top; a missing parent ends the way with a note."""
        if stop not in self._rows:
            calls = feed.rows("stop_times", ("stop_id",))
            where = next(row.where for row in calls if row.get("stop_id") == stop)
            raise DataError(where, "stop_id", stop, "stops.txt has no such stop.")
        chain = {stop: None}
        here = stop
        while parent := self._row(here).get("parent_station"):
            if parent not in self._rows:
                self._orphans[here] = None
                break
            if parent in chain:
                hint = "The parents of this stop form a circle."
                raise DataError(self._rows[here].where, "parent_station", parent, hint)
            chain[parent] = None
            here = parent
        declared = here != stop or self._row(here).get("location_type") == "1"
        return _Root(here, declared)

    def _row(self, stop: str) -> TableRow:
        if stop in self._twice:
            hint = f"This id is already used in {self._rows[stop].where}, with other values."
            raise DataError(self._twice[stop].where, "stop_id", stop, hint)
        return self._rows[stop]

    def notes(self) -> Iterator[str]:
        """Report the stops whose parent is missing."""
        if self._orphans:
            yield (
                f"{_listed(self._orphans)}: parent_station is not in stops.txt; "
                "each counts as a station."
            )


def _station(rows: Mapping[str, TableRow], root: str, stops: Sequence[str]) -> Station:
    """Return the station of a root; what its row lacks is taken from the first stop that has it.

    Raises:
        DataError: Neither has a name or coordinates.
    """
    candidates = [rows[one] for one in dict.fromkeys((root, *stops))]
    names = [_stop_name(row) for row in candidates]
    name = next((name for name in names if normalize(name)), "")
    row = candidates[0]
    if not name:
        found = row.get("stop_name")
        raise DataError(row.where, "stop_name", found, "A trip calls here; a name is required.")
    located = [row for row in candidates if row.get("stop_lat") and row.get("stop_lon")]
    row = located[0] if located else row
    latitude, longitude = row.number("stop_lat"), row.number("stop_lon")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        found = f"{latitude}, {longitude}"
        hint = "Latitude and longitude in degrees are expected."
        raise DataError(row.where, "stop_lat, stop_lon", found, hint)
    return Station(name, latitude, longitude)


def _stop_name(row: TableRow) -> str:
    """Return the printable name of a stop, without numbers that only make it unique."""
    name = printable_name(row.get("stop_name"))
    match = _NUMBERED.fullmatch(name)
    return match["stem"] if match else name


def _numbered_names(rows: Mapping[str, TableRow], used: Collection[str]) -> Iterator[str]:
    """Report names that lost a number."""
    names = dict.fromkeys(printable_name(rows[stop].get("stop_name")) for stop in used)
    numbered = [name for name in names if _NUMBERED.fullmatch(name)]
    if numbered:
        yield f"{_listed(numbered)}: the numbers behind these names are left out."


def _check_positions(stations: Mapping[str, Station], rows: Mapping[str, TableRow]) -> None:
    """Check that no station is at 0, 0 or far from all others.

    Raises:
        DataError: One is; the map would be shaped by it.
    """
    for key, one in stations.items():
        if abs(one.latitude) < _NULL_ISLAND and abs(one.longitude) < _NULL_ISLAND:
            found = f"{one.latitude:g}, {one.longitude:g}"
            hint = f"{one.name} has no real position. Correct it, or remove the stop and its calls."
            raise DataError(rows[key].where, "stop_lat, stop_lon", found, hint)
    far = _outlier(stations)
    if far is not None:
        key, meters = far
        one = stations[key]
        found = f"{one.latitude:g}, {one.longitude:g}"
        hint = f"{one.name} is {meters / 1000:,.0f} km from every other stop. Check its position."
        raise DataError(rows[key].where, "stop_lat, stop_lon", found, hint)


def _outlier(stations: Mapping[str, Station]) -> tuple[str, float] | None:
    """Return the station that is farthest from all others, if implausibly far, with its meters."""
    if len(stations) < 4:
        return None
    ordered = sorted(stations, key=lambda key: stations[key].latitude)
    nearest = {key: _nearest(stations, ordered, place) for place, key in enumerate(ordered)}
    median = sorted(nearest.values())[len(nearest) // 2]
    key = max(nearest, key=nearest.__getitem__)
    limit = max(_OUTLIER, _OUTLIER_RATIO * median)
    return (key, nearest[key]) if nearest[key] > limit else None


def _nearest(stations: Mapping[str, Station], ordered: Sequence[str], place: int) -> float:
    """Return the distance to the nearest other station, searching outward by latitude."""
    here, best = stations[ordered[place]], math.inf
    for step in (-1, 1):
        at = place + step
        while 0 <= at < len(ordered):
            other = stations[ordered[at]]
            if abs(other.latitude - here.latitude) * _METERS >= best:
                break
            best = min(best, distance(here, other))
            at += step
    return best


class _Groups:
    """Merges stops that are platforms of one station although the feed has no parent for them."""

    def __init__(
        self, found: Mapping[str, Station], declared: set[str], trips: set[tuple[str, ...]]
    ) -> None:
        self._found, self._declared = found, declared
        self._together: defaultdict[str, set[str]] = defaultdict(set)
        for trip in trips:
            for stop in trip:
                self._together[stop].update(trip)
        self.notes: list[str] = []

    def merge(self) -> tuple[dict[str, Station], dict[str, str]]:
        """Return the stations by id, and the station of each root."""
        stations = {key: one for key, one in self._found.items() if key in self._declared}
        merged = {key: key for key in stations}
        members: defaultdict[str, list[str]] = defaultdict(list)
        for key in stations:
            members[key].append(key)
        by_name: defaultdict[str, list[str]] = defaultdict(list)
        by_stem: defaultdict[str, list[str]] = defaultdict(list)
        for key, one in stations.items():
            by_name[normalize(one.name)].append(key)
        for key, one in self._found.items():
            if key in merged:
                continue
            name, stem = normalize(one.name), normalize(_stem(one.name))
            home = self._home(key, by_name[name], members, _SAME_NAME)
            home = home or self._home(key, by_stem[stem], members, _PLATFORMS)
            merged[key] = home or key
            members[home or key].append(key)
            if home is None:
                stations[key] = one
                by_name[name].append(key)
                by_stem[stem].append(key)
        for key, some in members.items():
            stations[key] = self._named(stations[key], some)
        return stations, merged

    def _home(
        self,
        key: str,
        candidates: Sequence[str],
        members: Mapping[str, Sequence[str]],
        limit: float,
    ) -> str | None:
        """Return the nearest station within ``limit`` that no trip calls at besides the stop."""
        near = [
            (distance(self._found[key], self._found[one]), one)
            for one in candidates
            if distance(self._found[key], self._found[one]) < limit
            and not any(self._apart(key, member) for member in members[one])
        ]
        return min(near)[1] if near else None

    def _apart(self, a: str, b: str) -> bool:
        """Return whether a trip calls at both stops and they are too far apart for one station."""
        return b in self._together[a] and distance(self._found[a], self._found[b]) > _CALLED_APART

    def _named(self, station: Station, members: Sequence[str]) -> Station:
        """Name a station after its platforms if their names differ, with a note."""
        names = list(dict.fromkeys(self._found[one].name for one in members))
        if len({normalize(name) for name in names}) == 1 or not set(members) - self._declared:
            return station
        name = _stem(station.name)
        self.notes.append(
            f"{_listed(names)}: stops close to each other without parent_station; they are read as "
            f"platforms of one station, {name}."
        )
        return Station(name, station.latitude, station.longitude)


def _stem(name: str) -> str:
    """Return a name without a final platform or direction; the whole name if it has none."""
    for pattern in (_PLATFORM, _BOUND):
        match = pattern.fullmatch(name)
        if match and normalize(match["stem"]):
            return str(match["stem"])
    return name


def _close_stops(
    calls: Mapping[str, Collection[Sequence[str]]],
    of_stop: Mapping[str, str],
    stations: Mapping[str, Station],
) -> Iterator[str]:
    """Report stations without parent that are only some meters apart."""
    lines: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for line, trips in calls.items():
        for station in {of_stop[stop] for trip in trips for stop in trip}:
            lines[station][line] = None
    for a, b, meters in _close_pairs(stations):
        shared = sorted(lines[a].keys() & lines[b].keys())
        where = f" on line {shared[0]}" if shared else ""
        yield (
            f"{stations[a].name} and {stations[b].name}{where} are {meters:.0f} m apart and have "
            "no parent_station; they are read as two stations but may be platforms of one."
        )


def _close_pairs(stations: Mapping[str, Station]) -> Iterator[tuple[str, str, float]]:
    """Yield stations closer than ``_CLOSE`` with their distance."""
    ordered = sorted(stations, key=lambda key: (stations[key].latitude, key))
    for place, a in enumerate(ordered):
        for b in ordered[place + 1 :]:
            if (stations[b].latitude - stations[a].latitude) * _METERS >= _CLOSE:
                break
            meters = distance(stations[a], stations[b])
            if meters < _CLOSE:
                yield a, b, meters


def _listed(names: Collection[str], shown: int = 5) -> str:
    some = list(names)
    return ", ".join(some[:shown]) + (f" and {len(some) - shown} more" if len(some) > shown else "")
