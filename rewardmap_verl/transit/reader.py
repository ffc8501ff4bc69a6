"""Read a network from ReasonMap's station lists, or from this project's exact form.

A station list is ``{"Line A": ["Battistini Station", …], …}``: the stops of each line in order,
with markers in brackets. Three facts are missing from it and are resolved here: which stops of
different lines are one place, where a branch leaves its trunk, and which lines are loops.

* Stops whose names compare equal are one stop, even if no marker says so, unless the notes of the
  city separate them (``cities.yaml``).
* A list that ends with its first stop is a loop. A marked junction that is listed again starts a
  branch there. The notes have the loops and branches of known cities that are written otherwise. A
  branch marker that nothing explains makes the line ``doubtful``.
* Markers are hints: an interchange is a stop with several lines, marked or not.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.inputs.parsing import parse_json
from rewardmap_verl.transit.cities import CityNotes, city_notes
from rewardmap_verl.transit.names import line_key, normalize, strip_markers
from rewardmap_verl.transit.network import Line, Network, Stop

__all__ = ["network_to_json", "parse_network", "read_network"]

FORMAT_KEY: Final = "rewardmap_network"
FORMAT: Final = 1
MAX_BYTES: Final = 8 * 1024 * 1024
MAX_LINES: Final = 500
MAX_STOPS_PER_LINE: Final = 2000
MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row of one line's list."""

    line: str
    name: str
    identity: tuple[str, str]
    """Identifies the stop: the key of the name, and the group among its homonyms."""
    markers: frozenset[str]


def read_network(path: str | Path) -> Network:
    """Read ``<country>/<city>.json``; country and city are the names of the folder and the file.

    Raises:
        DataError: The file is missing, too large, not JSON, or not a network.
    """
    path = Path(path)
    country, city = path.absolute().parent.name, path.stem
    if path.exists():
        check_file(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(path, "size", path.stat().st_size, f"The maximum is {MAX_BYTES} bytes.")
        text = path.read_bytes().decode("utf-8-sig")
        source = parse_json(text, object_pairs_hook=lambda pairs: _unique_keys(pairs, path))
    except json.JSONDecodeError as error:
        raise DataError(
            path, f"line {error.lineno}, column {error.colno}", error.msg, "Fix the JSON syntax."
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(path, f"byte {error.start}", error.reason, "Save it as UTF-8.") from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(path, hint=f"It is not a network: {error}.") from error
    except OSError as error:
        raise DataError(
            path, found=error.strerror, hint="Pass a readable file <country>/<city>.json."
        ) from error
    return parse_network(source, country, city, path)


def _unique_keys(pairs: list[tuple[str, Any]], where: object) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            raise DataError(where, key, "the same key twice", "Remove one of them.")
        seen[key] = value
    return seen


def parse_network(source: object, country: str, city: str, where: object = "") -> Network:
    """Build a network from decoded JSON: a station list, or the output of ``network_to_json``.

    Args:
        source: The decoded JSON.
        country: Name of the country, as folders spell it ("united_arab_emirates").
        city: Name of the city, as files spell it.
        where: Name of the source in errors; "country/city" if empty.

    Raises:
        DataError: The source is not a network.
    """
    where = where or f"{country}/{city}"
    if not isinstance(source, Mapping) or not source:
        raise DataError(
            where, found=source, hint='A network is an object {"line name": ["stop", …], …}.'
        )
    if FORMAT_KEY in source:
        return _parse_exact(source, where)
    lists = _checked_lists(source, where)
    notes = city_notes(country, city)
    entries = {line: list(_entries(line, rows, notes)) for line, rows in lists.items()}
    stops, index = _stops(entries, notes)
    lines = tuple(_line(name, rows, index, notes, where) for name, rows in entries.items())
    return Network(country, city, stops, lines)


def _checked_lists(source: Mapping[Any, Any], where: object) -> dict[str, list[str]]:
    """Return a station list after checking its shape; all later code relies on it."""
    if len(source) > MAX_LINES:
        raise DataError(where, "lines", len(source), f"The maximum is {MAX_LINES} lines.")
    keys: dict[str, str] = {}
    for name, rows in source.items():
        other = keys.setdefault(_check_name(name, where, "line name", line_key), name)
        if other != name:
            raise DataError(
                where, name, f"the same line as {other!r}", "Give each line a distinct name."
            )
        if not isinstance(rows, list) or not 2 <= len(rows) <= MAX_STOPS_PER_LINE:
            raise DataError(
                where, name, rows, f"A line is a list of 2 to {MAX_STOPS_PER_LINE} stop names."
            )
        before = ""
        for i, row in enumerate(rows, start=1):
            key = _check_name(row, where, f"{name}, stop {i}", normalize)
            if key == before:
                raise DataError(
                    where,
                    f"{name}, stop {i}",
                    row,
                    "The stop is listed twice in a row; remove one.",
                )
            before = key
    return dict(source)


def _check_name(name: object, where: object, field: str, key_of: Callable[[str], str]) -> str:
    """Check one name and return its key."""
    key = key_of(name) if isinstance(name, str) and len(name) <= MAX_NAME else ""
    if not isinstance(name, str) or not key:
        raise DataError(
            where,
            field,
            name,
            f"A name has 1 to {MAX_NAME} characters and at least one letter or digit.",
        )
    # Names go into prompts, where "<image>" is special, and into UTF-8 files.
    if any(char in "<>" or unicodedata.category(char) in ("Cc", "Cs") for char in name.strip()):
        raise DataError(where, field, name, "Remove control characters, < and >.")
    return key


def _entries(line: str, rows: Sequence[str], notes: CityNotes) -> Iterator[_Entry]:
    seen: dict[str, int] = {}
    one_name = {normalize(name): normalize(group[0]) for group in notes.same for name in group}
    homonyms = {normalize(name): groups for name, groups in notes.separate.items()}
    for row in rows:
        name, markers = strip_markers(" ".join(row.split()))
        key = normalize(name)
        key = one_name.get(key, key)
        seen[key] = seen.get(key, 0) + 1
        group = _group(homonyms.get(key, ()), line, seen[key])
        yield _Entry(line, name, (key, group), markers)


def _group(groups: Sequence[Sequence[str]], line: str, occurrence: int) -> str:
    for group in groups:
        if line in group or f"{line}:{occurrence}" in group:
            return " ".join(group)
    return ""


def _stops(
    entries: Mapping[str, Sequence[_Entry]], notes: CityNotes
) -> tuple[tuple[Stop, ...], dict[tuple[str, str], int]]:
    spellings: dict[tuple[str, str], dict[str, None]] = {}
    lines: dict[tuple[str, str], dict[str, None]] = {}
    for rows in entries.values():
        for entry in rows:
            spellings.setdefault(entry.identity, {})[entry.name] = None
            lines.setdefault(entry.identity, {})[entry.line] = None
    marked = {e.identity for rows in entries.values() for e in rows if "transfer" in e.markers}
    aliases = {normalize(name): names for name, names in notes.stop_aliases.items()}
    index = {identity: i for i, identity in enumerate(spellings)}
    stops = tuple(
        Stop(
            index=i,
            name=next(iter(names)),
            spellings=tuple(names),
            lines=tuple(lines[identity]),
            aliases=aliases.get(identity[0], ()),
            marked=identity in marked,
        )
        for i, (identity, names) in enumerate(spellings.items())
    )
    return stops, index


def _line(
    name: str,
    rows: Sequence[_Entry],
    index: Mapping[tuple[str, str], int],
    notes: CityNotes,
    where: object,
) -> Line:
    listed = tuple(index[row.identity] for row in rows)
    paths, doubtful = _paths(name, rows, listed, notes)
    return Line(name, listed, paths, aliases=notes.line_aliases.get(name, ()), doubtful=doubtful)


def _paths(
    name: str, rows: Sequence[_Entry], listed: tuple[int, ...], notes: CityNotes
) -> tuple[tuple[tuple[int, ...], ...], bool]:
    """Return the true running order of a line, and whether one of its branches is unexplained."""
    keys = [row.identity[0] for row in rows]
    ends = notes.loops.get(name)
    if ends and [normalize(end) for end in ends] == [keys[0], keys[-1]]:
        return ((*listed, listed[0]),), False
    noted = _noted_junctions(name, keys, notes)
    marked = {stop for stop, row in zip(listed, rows, strict=True) if "branch" in row.markers}
    repeated = {
        i: listed[i] for i in range(1, len(listed)) if listed[i] in marked & set(listed[:i])
    }
    junctions = {at: listed[junction] for at, junction in noted.items()} | repeated
    if listed[0] == listed[-1]:
        junctions.pop(len(listed) - 1, None)
    unexplained = marked - {listed[0], listed[-1]} and not junctions and name not in notes.branches
    return _cut(listed, junctions), bool(unexplained)


def _noted_junctions(name: str, keys: Sequence[str], notes: CityNotes) -> dict[int, int]:
    """Return the list position where each noted branch begins, with that of its junction."""
    junctions = {}
    for branch in notes.branches.get(name, ()):
        at, first = normalize(branch.at), normalize(branch.first)
        if at in keys and first in keys and keys[keys.index(first) - 1] != at:
            junctions[keys.index(first)] = keys.index(at)
    return junctions


def _cut(listed: tuple[int, ...], junctions: Mapping[int, int]) -> tuple[tuple[int, ...], ...]:
    """Split the list before each branch, and start each branch with its junction."""
    bounds = [0, *sorted(junctions), len(listed)]
    paths = []
    for start, end in pairwise(bounds):
        part = listed[start:end]
        junction = junctions.get(start, part[0])
        paths.append(part if part[0] == junction else (junction, *part))
    return tuple(path for path in paths if len(path) > 1)


def network_to_json(network: Network) -> dict[str, Any]:
    """Return a network as JSON that ``parse_network`` reads back exactly, including notes."""
    return {
        FORMAT_KEY: FORMAT,
        "country": network.country,
        "city": network.city,
        "stops": [
            {
                "name": stop.name,
                "spellings": list(stop.spellings),
                "aliases": list(stop.aliases),
                "marked": stop.marked,
            }
            for stop in network.stops
        ],
        "lines": [
            {
                "name": line.name,
                "color": line.color,
                "listed": list(line.listed),
                "paths": [list(path) for path in line.paths],
                "aliases": list(line.aliases),
                "doubtful": line.doubtful,
            }
            for line in network.lines
        ],
    }


def _parse_exact(source: Mapping[Any, Any], where: object) -> Network:
    if source[FORMAT_KEY] != FORMAT:
        raise DataError(
            where, FORMAT_KEY, source[FORMAT_KEY], "Prepare the data again with this version."
        )
    try:
        lines = tuple(_exact_line(line, len(source["stops"])) for line in source["lines"])
        stops = tuple(_exact_stop(i, stop, lines) for i, stop in enumerate(source["stops"]))
        return Network(str(source["country"]), str(source["city"]), stops, lines)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            where, found=f"{type(error).__name__}: {error}", hint="Prepare the data again."
        ) from error


def _exact_line(line: Mapping[str, Any], count: int) -> Line:
    listed = tuple(line["listed"])
    paths = tuple(tuple(path) for path in line["paths"])
    for stop in (*listed, *(stop for path in paths for stop in path)):
        if type(stop) is not int or not 0 <= stop < count:
            raise IndexError(f"line {line['name']!r} has stop {stop!r} of {count}")
    aliases = tuple(line.get("aliases", ()))
    return Line(
        line["name"], listed, paths, line.get("color"), aliases, line.get("doubtful", False)
    )


def _exact_stop(index: int, stop: Mapping[str, Any], lines: Sequence[Line]) -> Stop:
    serving = tuple(line.name for line in lines if index in line.listed)
    return Stop(
        index=index,
        name=stop["name"],
        spellings=tuple(stop["spellings"]),
        lines=serving,
        aliases=tuple(stop.get("aliases", ())),
        marked=bool(stop.get("marked", False)),
    )
