"""GTFS feeds, small ones written here: right ones, odd ones that are still right, wrong ones."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.sources.gtfs import MAX_STOPS, place_network
from rewardmap_verl.preparation.sources.gtfs_network import Located, network_of_feed
from rewardmap_verl.preparation.sources.gtfs_order import running_order
from rewardmap_verl.preparation.sources.gtfs_tables import Feed
from rewardmap_verl.preparation.validate import faults
from rewardmap_verl.transit.network import Network, Stop

Make = Callable[..., PrepareSettings]
Tables = dict[str, str]

STOPS = {
    "A": ("Airport", 50.00, 8.00),
    "B": ("Bridge", 50.01, 8.02),
    "C": ("Central", 50.02, 8.05),
    "D": ("Docks", 50.03, 8.08),
    "E": ("East", 50.02, 8.12),
    "F": ("Forum", 50.05, 8.05),
    "G": ("Garden", 49.99, 8.06),
    "H": ("Harbour", 49.97, 8.07),
}


def times(trips: dict[str, list[str]]) -> str:
    rows = ["trip_id,arrival_time,departure_time,stop_id,stop_sequence"]
    for trip, stops in trips.items():
        # The last train of the day runs past midnight, which GTFS writes as 25:10.
        rows += [f"{trip},25:{i:02}:00,25:{i:02}:30,{s},{10 * i}" for i, s in enumerate(stops)]
    return "\n".join(rows) + "\n"


def tables(**changes: str) -> Tables:
    """A feed of two metro lines and a bus, without shapes."""
    stops = ["stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station"]
    stops += [f"{key},{name},{y},{x},0," for key, (name, y, x) in STOPS.items()]
    trips = {"t1": list("ABCDE"), "t2": list("EDCBA"), "t3": list("FCGH"), "t4": list("AE")}
    found = {
        "agency": "agency_id,agency_name,agency_url,agency_timezone\n1,A,http://a.example,UTC\n",
        "routes": "route_id,route_short_name,route_long_name,route_type,route_color\n"
        "r1,M1,Metro one,1,FF0000\nr2,,Crosstown,1,0000ff\nb,7,Bus seven,3,\n",
        "trips": "route_id,service_id,trip_id\nr1,s,t1\nr1,s,t2\nr2,s,t3\nb,s,t4\n",
        "stops": "\n".join(stops) + "\n",
        "stop_times": times(trips),
    }
    return found | changes


def write_zip(path: Path, content: Tables, folder: str = "", encoding: str = "utf-8") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(f"{folder}{name}.txt", text.encode(encoding))
    return path


def read(tmp_path: Path, content: Tables, **options: Any) -> Located:
    path = write_zip(tmp_path / "feed.zip", content)
    return network_of_feed(Feed(path), "gtfs", "feed", **options)


def names(network: Network) -> dict[str, list[list[str]]]:
    return {
        line.name: [[network.stops[i].name for i in path] for path in line.paths]
        for line in network.lines
    }


def test_lines_stops_and_colors(tmp_path: Path) -> None:
    located = read(tmp_path, tables())
    network = located.network
    assert names(network) == {
        "Crosstown": [["Forum", "Central", "Garden", "Harbour"]],
        "M1": [["Airport", "Bridge", "Central", "Docks", "East"]],
    }
    assert {line.name: line.color for line in network.lines} == {
        "M1": "#ff0000",
        "Crosstown": "#0000ff",
    }
    assert [stop.name for stop in network.interchanges()] == ["Central"]
    assert located.places[network.find_stops("Central")[0].index] == (50.02, 8.05)


@pytest.mark.parametrize("how", ["bom", "crlf", "folder", "nested", "spaces", "unordered"])
def test_odd_feeds_that_are_right(tmp_path: Path, how: str) -> None:
    expected = names(read(tmp_path, tables()).network)
    content = tables()
    path = tmp_path / "odd.zip"
    if how == "bom":
        write_zip(path, content, encoding="utf-8-sig")
    elif how == "crlf":
        write_zip(path, {k: v.replace("\n", "\r\n") for k, v in content.items()})
    elif how == "folder":
        path = tmp_path / "odd"
        path.mkdir()
        for name, text in content.items():
            (path / f"{name}.txt").write_text(text)
    elif how == "nested":
        write_zip(path, content, folder="google_transit/")
    elif how == "spaces":
        write_zip(path, {k: v.replace(",", ", ") for k, v in content.items()})
    else:
        head, *rows = content["stop_times"].splitlines()
        write_zip(path, content | {"stop_times": "\n".join([head, *reversed(rows)])})
    assert names(network_of_feed(Feed(path), "gtfs", "feed").network) == expected


def test_platforms_are_one_station(tmp_path: Path) -> None:
    stops = tables()["stops"].replace("C,Central,50.02,8.05,0,", "C,Platform 1,50.02,8.05,0,S")
    stops += "S,Central,50.02,8.05,1,\nC2,Platform 2,50.02,8.0501,0,S\n"
    trips = {"t1": list("ABCDE"), "t3": ["F", "C2", "C", "G", "H"]}
    network = read(tmp_path, tables(stops=stops, stop_times=times(trips))).network
    assert names(network)["Crosstown"] == [["Forum", "Central", "Garden", "Harbour"]]
    assert [stop.name for stop in network.interchanges()] == ["Central"]


def test_near_stops_of_one_name_are_one_and_far_ones_are_not(tmp_path: Path) -> None:
    extra = "N,Central,50.0201,8.0501,0,\nX,Bridge,50.50,8.50,0,\n"
    trips = {"t1": list("ABCDE"), "t3": list("FNGX")}
    content = tables(stops=tables()["stops"] + extra, stop_times=times(trips))
    network = read(tmp_path, content).network
    assert len(network.find_stops("Central")) == 1
    assert len(network.find_stops("Bridge")) == 2


def test_routes_of_one_name_are_one_line(tmp_path: Path) -> None:
    routes = tables()["routes"] + "r9,M1,again,1,\n"
    trips = tables()["trips"] + "r9,s,t9\n"
    content = tables(
        routes=routes,
        trips=trips,
        stop_times=times({"t1": list("ABC"), "t3": list("FCGH"), "t9": list("BCDE")}),
    )
    network = read(tmp_path, content).network
    assert sorted(line.name for line in network.lines) == ["Crosstown", "M1"]
    m1 = next(line for line in network.lines if line.name == "M1")
    assert {network.stops[i].name for i in m1.listed} == {
        "Airport",
        "Bridge",
        "Central",
        "Docks",
        "East",
    }


@pytest.mark.parametrize(
    ("patterns", "paths"),
    [
        (["ABCDE"], ["ABCDE"]),
        (["ABCDE", "ACE"], ["ABCDE"]),  # an express calls at fewer stops
        (["ABCDE", "ABXY"], ["ABCDE", "BXY"]),
        (["ABCDE", "XYC"], ["ABCDE", "CYX"]),  # a branch starts at its junction
        (["ABCDE", "ABXDE"], ["ABCDE", "BXD"]),
        (["ABCDE", "XY"], ["ABCDE", "YX"]),
        (["ABCDA"], ["ABCDA"]),
    ],
)
def test_running_order(patterns: list[str], paths: list[str]) -> None:
    assert running_order({tuple(p): 1 for p in patterns}) == [tuple(p) for p in paths]


def test_route_types_can_be_chosen(tmp_path: Path) -> None:
    assert set(names(read(tmp_path, tables(), route_types=(3,)).network)) == {"7"}
    with pytest.raises(DataError, match="--route-type"):
        read(tmp_path, tables(), route_types=(4,))


@pytest.mark.parametrize("table", ["routes", "trips", "stops", "stop_times"])
def test_a_missing_table(tmp_path: Path, table: str) -> None:
    content = tables()
    del content[table]
    with pytest.raises(DataError, match=rf"feed\.zip.*no {table}\.txt"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("stops", "stop_lat", "latitude", r"stops\.txt: stop_lat"),
        ("stop_times", "stop_sequence", "order", r"stop_times\.txt: stop_sequence"),
        ("stops", "50.02,8.05", "north,8.05", r"stops\.txt, line 4: stop_lat"),
        ("stops", "50.02,8.05", "95,8.05", "in degrees are expected"),
        ("stops", "50.02,8.05", "nan,8.05", "in degrees are expected"),
        ("stop_times", ",C,20", ",Z,20", r"stop_times\.txt, line 4: stop_id.*no such stop"),
        ("stop_times", ",C,20", ",C,third", r"line 4: stop_sequence"),
        ("stop_times", ",C,20", ",,20", r"line 4: stop_id"),
        ("routes", "r1,M1,Metro one,1", "r1,,,1", "short or a long name"),
        ("routes", "one,1,", "one,metro,", "route_type"),
        ("trips", "r1,s,t1", "r1,s,", "trip_id"),
    ],
)
def test_wrong_feeds_are_named(
    tmp_path: Path, table: str, old: str, new: str, message: str
) -> None:
    content = tables()
    assert old in content[table]
    with pytest.raises(DataError, match=message):
        read(tmp_path, content | {table: content[table].replace(old, new, 1)})


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "feed.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"feed\.zip"):
        network_of_feed(Feed(path), "gtfs", "feed")


def test_a_missing_feed_and_a_wrong_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Pass a GTFS feed"):
        network_of_feed(Feed(tmp_path / "nothing.zip"), "gtfs", "feed")
    content = tables(stops=tables()["stops"].replace("Central", "Zürich"))
    path = write_zip(tmp_path / "feed.zip", content, encoding="latin-1")
    with pytest.raises(DataError, match="UTF-8"):
        network_of_feed(Feed(path), "gtfs", "feed")


def test_a_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewardmap_verl.preparation.sources.gtfs_tables._MAX_RATIO", 2)
    content = tables(stop_times=tables()["stop_times"] + "\n" * 3_000_000)
    path = write_zip(tmp_path / "feed.zip", content)
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match="bomb"):
        network_of_feed(Feed(path), "gtfs", "feed")


def test_stops_keep_their_directions_and_no_line_hides_a_stop(tmp_path: Path) -> None:
    placed = place_network(read(tmp_path, tables()))
    where = {stop.name: placed.positions[stop.index] for stop in placed.network.stops}
    assert len(set(placed.positions)) == len(placed.positions)
    assert where["Airport"][0] < where["Central"][0] < where["East"][0]
    assert where["Forum"][1] < where["Central"][1] < where["Harbour"][1]
    steps = [pair for line in placed.courses for course in line for pair in pairwise(course)]
    assert {max(abs(a[0] - b[0]), abs(a[1] - b[1])) for a, b in steps} == {1}  # octilinear


def test_too_many_stops_for_a_map() -> None:
    stops = tuple(Stop(i, f"S{i}", (f"S{i}",), ()) for i in range(MAX_STOPS + 1))
    places = tuple((50 + i / 1000, 8.0) for i in range(len(stops)))
    with pytest.raises(DataError, match="at most 400"):
        place_network(Located(Network("gtfs", "big", stops, ()), places))


def test_feeds_become_data(synthetic: Make, tmp_path: Path) -> None:
    one = write_zip(tmp_path / "one.zip", tables())
    two = write_zip(tmp_path / "two.zip", tables(routes=tables()["routes"].replace("M1", "U1")))
    settings = synthetic(source="gtfs", feeds=(one, two), test_cities=("two",))
    manifest = prepare(settings)
    assert [(entry.city, entry.splits) for entry in manifest.maps] == [
        ("one", ("train",)),
        ("two", ("test",)),
    ]
    assert all(entry.positions for entry in manifest.maps)
    assert list(faults(settings.out)) == []


def test_feeds_of_one_name_or_none(synthetic: Make, tmp_path: Path) -> None:
    one = write_zip(tmp_path / "one.zip", tables())
    (tmp_path / "other").mkdir()
    two = write_zip(tmp_path / "other" / "one.zip", tables())
    with pytest.raises(ConfigError, match="Two feeds"):
        prepare(synthetic(source="gtfs", feeds=(one, two)))
    with pytest.raises(ConfigError, match="--feed"):
        prepare(synthetic(source="gtfs"))
