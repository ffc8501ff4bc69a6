"""GTFS feeds written by the tests: valid ones, unusual ones and faulty ones."""

from __future__ import annotations

import math
import random
import time
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
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


# Lines


def edited(table: str, *pairs: tuple[str, str], **changes: str) -> Tables:
    """The feed with replacements in one table, and other tables as given."""
    content = tables(**changes)
    for old, new in pairs:
        assert old in content[table], old
        content[table] = content[table].replace(old, new)
    return content


TWO_M1 = (
    "route_id,agency_id,route_short_name,route_long_name,route_type,route_color\n"
    "r1,1,M1,Metro one,{0},FF0000\nr2,{1},M1,Other one,{2},0000ff\n"
)
AGENCIES = (
    "agency_id,agency_name,agency_url,agency_timezone\n"
    "1,City Metro,http://a.example,UTC\n2,Suburban Rail,http://b.example,UTC\n"
)


@pytest.mark.parametrize(
    ("kind", "agency", "other", "expected"),
    [
        (1, 2, 1, {"M1 (City Metro)", "M1 (Suburban Rail)"}),
        (1, 1, 0, {"M1 (metro)", "M1 (tram)"}),
        (1, 1, 1, {"M1"}),  # one agency and one mode: one line, which shares a stop
    ],
)
def test_lines_of_one_short_name(
    tmp_path: Path, kind: int, agency: int, other: int, expected: set[str]
) -> None:
    content = tables(agency=AGENCIES, routes=TWO_M1.format(kind, agency, other))
    located = read(tmp_path, content)
    assert set(names(located.network)) == expected
    assert any("lines are called M1" in note for note in located.notes) == (len(expected) > 1)
    for line in located.network.lines:
        assert located.network.find_line(line.name) is line


def test_routes_of_one_name_without_a_common_station_are_two_lines(tmp_path: Path) -> None:
    routes = TWO_M1.format(1, 1, 1)
    trips = times({"t1": list("ABC"), "t3": list("FGH")})
    located = read(tmp_path, tables(routes=routes, stop_times=trips))
    assert set(names(located.network)) == {"M1 (Metro one)", "M1 (Other one)"}


def directions(first: str, second: str, colors: tuple[str, str]) -> Tables:
    routes = (
        "route_id,route_short_name,route_type,route_color\n"
        f"r1,{first},1,{colors[0]}\nr2,{second},1,{colors[1]}\n"
    )
    stops = {"t1": list("ABCDE"), "t2": list("ABC"), "t3": list("EDCBA")}
    return tables(routes=routes, stop_times=times(stops))


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("Red-N", "Red-S", "Red"),
        ("Red Northbound", "Red Southbound", "Red"),
        ("Red (E)", "Red (W)", "Red"),
        ("Airport - East", "East - Airport", "Airport - East"),
        ("Airport to East", "East to Airport", "Airport to East"),
    ],
)
def test_directions_are_one_line(tmp_path: Path, first: str, second: str, name: str) -> None:
    located = read(tmp_path, directions(first, second, ("FF0000", "FF0000")))
    (line,) = located.network.lines
    assert (line.name, line.color) == (name, "#ff0000")
    assert f"{first} and {second} are read as one line, {name}." in located.notes
    assert located.network.find_line(first) is located.network.find_line(second) is line


@pytest.mark.parametrize(
    ("first", "second", "colors"),
    [
        ("Red-N", "Red-S", ("FF0000", "0000FF")),
        ("Red-N", "Red-E", ("FF0000", "FF0000")),
        ("Line N", "Line S2", ("FF0000", "FF0000")),
    ],
)
def test_other_routes_stay_two_lines(
    tmp_path: Path, first: str, second: str, colors: tuple[str, str]
) -> None:
    assert len(read(tmp_path, directions(first, second, colors)).network.lines) == 2


def test_directions_with_other_stations_stay_two_lines(tmp_path: Path) -> None:
    content = directions("Red-N", "Red-S", ("FF0000", "FF0000"))
    content["stop_times"] = times({"t1": list("ABC"), "t3": list("CGH")})
    assert len(read(tmp_path, content).network.lines) == 2


@pytest.mark.parametrize("color", ["#FF0000", "FF0000", "ff0000"])
def test_colors_with_and_without_hash(tmp_path: Path, color: str) -> None:
    content = edited("routes", ("FF0000", color))
    colors = {line.name: line.color for line in read(tmp_path, content).network.lines}
    assert colors["M1"] == "#ff0000"


def test_a_route_listed_twice(tmp_path: Path) -> None:
    content = tables(routes=tables()["routes"] + "r1,M9,Metro nine,1,FF0000\n")
    with pytest.raises(DataError, match="already used"):
        read(tmp_path, content)
    content = tables(routes=tables()["routes"] + "r1,M1,Metro one,1,FF0000\n")
    assert "M1" in names(read(tmp_path, content).network)
    content = tables(routes=tables()["routes"] + "b,8,Bus eight,3,\n")
    assert "M1" in names(read(tmp_path, content).network), "buses are not read"


# Stations


def with_stops(*rows: str, trips: dict[str, list[str]]) -> Tables:
    return tables(stops=tables()["stops"] + "".join(f"{row}\n" for row in rows),
                  stop_times=times(trips))  # fmt: skip


def test_stations_with_parents_of_their_own_stay_two(tmp_path: Path) -> None:
    content = with_stops(
        *("P1,Wall,50.02,8.05,1,", "P2,Wall,50.0242,8.05,1,"),
        *("W1,Wall,50.02,8.05,0,P1", "W2,Wall,50.0242,8.05,0,P2"),
        trips={"t1": ["A", "B", "W1", "D"], "t3": ["F", "W2", "G"]},
    )
    network = read(tmp_path, content).network
    assert len(network.find_stops("Wall")) == 2
    assert not network.interchanges()


def test_a_stop_without_parent_joins_the_near_station_of_its_name(tmp_path: Path) -> None:
    content = with_stops(
        *("P1,Wall,50.02,8.05,1,", "W1,Wall,50.02,8.05,0,P1", "W2,Wall,50.0205,8.05,0,"),
        trips={"t1": ["A", "B", "W1", "D"], "t3": ["F", "W2", "G"]},
    )
    network = read(tmp_path, content).network
    assert [stop.name for stop in network.interchanges()] == ["Wall"]


def test_stops_of_one_name_on_one_trip_stay_two(tmp_path: Path) -> None:
    content = with_stops(
        "W1,Mill,50.02,8.05,0,", "W2,Mill,50.0235,8.05,0,",
        trips={"t1": ["A", "W1", "W2", "D"], "t3": ["F", "W2", "G"]},
    )  # fmt: skip
    assert len(read(tmp_path, content).network.find_stops("Mill")) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Central - Platform 1", "Central - Platform 2"),
        ("Mill Street Bay A", "Mill Street Bay C"),
        ("Am Tor (Gleis 3)", "Am Tor (Gleis 4)"),
        ("Main St NB", "Main St SB"),
        ("Balderas_1_2", "Balderas_1"),
    ],
)
def test_platforms_without_parent_are_one_station(tmp_path: Path, first: str, second: str) -> None:
    content = with_stops(
        f"X1,{first},50.02,8.051,0,", f"X2,{second},50.0201,8.0511,0,",
        trips={"t1": ["A", "B", "X1", "D", "E"], "t2": ["E", "D", "X2", "B", "A"],
               "t3": ["F", "X2", "G"]},
    )  # fmt: skip
    located = read(tmp_path, content)
    (line,) = [line for line in located.network.lines if line.name == "M1"]
    assert len(line.paths) == 1 and len(line.paths[0]) == 5
    (stop,) = located.network.interchanges()
    assert first.startswith(stop.name) and second.startswith(stop.name)
    assert any(first in note for note in located.notes)


def test_close_stops_without_parent_are_reported(tmp_path: Path) -> None:
    content = with_stops(
        "X1,Old Market,50.02,8.051,0,", "X2,Fountain,50.0201,8.0511,0,",
        trips={"t1": ["A", "B", "X1", "D", "E"], "t2": ["E", "D", "X2", "B", "A"],
               "t3": ["F", "C", "G"]},
    )  # fmt: skip
    located = read(tmp_path, content)
    (note,) = [note for note in located.notes if "m apart" in note]
    assert "Fountain" in note and "Old Market" in note and "line M1" in note


def test_a_missing_parent_leaves_the_stop_alone(tmp_path: Path) -> None:
    located = read(
        tmp_path, edited("stops", ("C,Central,50.02,8.05,0,", "C,Central,50.02,8.05,0,GONE"))
    )
    assert [stop.name for stop in located.network.interchanges()] == ["Central"]
    assert any("parent_station is not in stops.txt" in note for note in located.notes)


def test_parents_in_a_circle_are_an_error(tmp_path: Path) -> None:
    stops = edited("stops", ("8.05,0,\nD", "8.05,0,D\nD"), ("8.08,0,", "8.08,0,C"))
    with pytest.raises(DataError, match="circle"):
        read(tmp_path, stops)


def test_what_no_line_uses_cannot_refuse_a_feed(tmp_path: Path) -> None:
    expected = names(read(tmp_path, tables()).network)
    faults = (
        "N1,,,,3,A",  # a generic node
        "N2,No place,,,0,",
        "N3,,50.0,8.0,0,",
        "N4,Orphan,50.0,8.0,0,GONE",
        "N5,Null Island,0,0,0,",
        "N6,Nowhere,95,8,0,",
        "N7,Word,north,8,0,",
        "N8,One,50,8,0,N9",
        "N9,Two,50,8,0,N8",
        "N2,Another place,50,8,0,",
        "N10,Un,quoted,50,8,0,",
    )
    content = tables(
        stops=tables()["stops"] + "".join(f"{row}\n" for row in faults),
        routes=tables()["routes"] + "x,,,3,\ny,,,1,\n",
        trips=tables()["trips"] + "x,s,t8\ny,s,t9\n",
        stop_times=tables()["stop_times"] + "t8,,,N3,first\nt8,,,,\nt4,,,N2,99\n",
    )
    located = read(tmp_path, content)
    assert names(located.network) == expected
    assert located.notes == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("C,Central,0.000000,0.000000,0,", "no real position"),
        ("C,Central,8.05,50.02,0,", "from every other stop"),
        ("C,Central,,,0,", "stop_lat"),
        ("C,,50.02,8.05,0,", "a name is required"),
        ("C,Central,50.02,8.05,0,\nC,Center,50.02,8.05,0,", "already used"),
        ("C,Cen,tral,50.02,8.05,0,", "number is expected"),
        ("C,Central,50.02,8.05,0,,surplus", "more values than columns"),
    ],
)
def test_faults_of_used_stops(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, edited("stops", ("C,Central,50.02,8.05,0,", row)))


def test_a_station_takes_its_position_from_its_platform(tmp_path: Path) -> None:
    content = edited("stops", ("C,Central,50.02,8.05,0,", "C,,50.02,8.05,0,S\nS,Central,,,1,"))
    located = read(tmp_path, content)
    assert located.places[located.network.find_stops("Central")[0].index] == (50.02, 8.05)


def test_an_identical_row_twice_is_one_stop(tmp_path: Path) -> None:
    row = "C,Central,50.02,8.05,0,\n"
    assert names(read(tmp_path, tables(stops=tables()["stops"] + row)).network) == names(
        read(tmp_path, tables()).network
    )


def test_a_network_across_the_180th_meridian(tmp_path: Path) -> None:
    stops = tables()["stops"]
    for _, y, x in STOPS.values():
        east = x + 171.95  # Central is at 180
        stops = stops.replace(f"{y},{x},", f"{y},{east - 360 if east > 180 else east:.4f},")
    located = read(tmp_path, tables(stops=stops))
    assert {longitude > 0 for _, longitude in located.places} == {True, False}
    here, there = (place_network(one) for one in (located, read(tmp_path, tables())))
    assert here.positions == there.positions


# Order of stops


def test_a_repeated_stop_sequence_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    content = edited(
        "stop_times", ("F,0", "F,1"), ("C,10\nt3", "C,1\nt3"), ("G,20", "G,1"), ("H,30", "H,1")
    )
    located = read(tmp_path, content)
    assert names(located.network)["Crosstown"] == [["Forum", "Central", "Garden", "Harbour"]]
    assert any("repeat a stop_sequence" in note for note in located.notes)


def test_a_train_that_passes_does_not_call(tmp_path: Path) -> None:
    head, *rows = tables()["stop_times"].splitlines()
    marked = [f"{row},{1 if row.split(',')[3] == 'B' else 0},{int(',B,' in row)}" for row in rows]
    text = "\n".join([f"{head},pickup_type,drop_off_type", *marked])
    network = read(tmp_path, tables(stop_times=text)).network
    assert names(network)["M1"] == [["Airport", "Central", "Docks", "East"]]


def skip_stops(*trips: str) -> Tables:
    numbered = {f"t{i}": list(stops) for i, stops in enumerate(trips, 1)}
    rows = "".join(f"r1,s,{name}\n" for name in numbered)
    return tables(trips=f"route_id,service_id,trip_id\n{rows}", stop_times=times(numbered))


def test_skip_stop_trains_are_one_line(tmp_path: Path) -> None:
    located = read(tmp_path, skip_stops("ABDE", "ACDE", "EDA"))
    assert names(located.network)["M1"] == [["Airport", "Bridge", "Central", "Docks", "East"]]
    assert any("put together from several trips" in note for note in located.notes)


def test_skip_stop_trains_that_start_on_the_way(tmp_path: Path) -> None:
    located = read(tmp_path, skip_stops("ABDE", "CDE"))
    assert names(located.network)["M1"] == [["Airport", "Bridge", "Central", "Docks", "East"]]


def test_a_branch_stays_a_branch(tmp_path: Path) -> None:
    located = read(tmp_path, skip_stops("ABCDE", "ABCGH", "FCD"))
    paths = names(located.network)["M1"]
    assert paths[0] == ["Airport", "Bridge", "Central", "Docks", "East"]
    assert sorted(paths[1:]) == [["Central", "Forum"], ["Central", "Garden", "Harbour"]]


RING = {
    f"R{i}": (
        f"Ring {i}",
        50 + 0.05 * math.cos(math.pi * i / 6),
        8 + 0.08 * math.sin(math.pi * i / 6),
    )
    for i in range(12)
}


@pytest.mark.parametrize(
    "trips",
    [
        [range(7), range(6, 13)],  # two halves
        [range(9), range(4, 13), range(8, 17)],
        [range(12), range(10, 14)],
        [range(11), [10, 11, 0]],
        [range(13)],  # a trip that closes it
        [[i, i + 1] for i in range(12)],
    ],
)
def test_a_circle_that_no_single_trip_closes(tmp_path: Path, trips: list[Any]) -> None:
    rows = [f"{key},{name},{y:.5f},{x:.5f},0," for key, (name, y, x) in RING.items()]
    numbered = {f"t{i}": [f"R{k % 12}" for k in stops] for i, stops in enumerate(trips)}
    listed = "".join(f"r1,s,{name}\n" for name in numbered)
    content = tables(
        stops="\n".join(
            ["stop_id,stop_name,stop_lat,stop_lon,location_type,parent_station", *rows]
        ),
        trips=f"route_id,service_id,trip_id\n{listed}",
        stop_times=times(numbered),
    )
    network = read(tmp_path, content).network
    (path,) = network.lines[0].paths
    assert path[0] == path[-1] and len(path) == 13
    assert len(set(path)) == 12
    numbers = [int(network.stops[i].name.split()[1]) for i in path]
    assert {(b - a) % 12 for a, b in pairwise(numbers)} in ({1}, {11})


@pytest.mark.parametrize("seed", range(40))
def test_trips_along_one_track_are_one_path(seed: int) -> None:
    """Any trips between the two ends of a curved track, whichever stations they skip."""
    rng = random.Random(seed)
    angle, x, y = 0.0, 0.0, 0.0
    track: dict[str, tuple[float, float]] = {}
    for number in range(rng.randint(3, 14)):
        track[f"{number:02}"] = (x, y)
        angle += rng.uniform(-0.3, 0.3)
        length = rng.uniform(0.6, 1.6)
        x, y = x + math.cos(angle) * length, y + math.sin(angle) * length
    first, *inner, last = track
    trips = {
        (first, *(name for name in inner if rng.random() < 0.6), last): 1
        for _ in range(rng.randint(1, 5))
    }
    (path,) = running_order(trips, lambda a, b: math.dist(track[a], track[b]))
    assert list(path) == sorted({name for trip in trips for name in trip})


def test_an_express_between_the_ends_is_no_circle(tmp_path: Path) -> None:
    located = read(tmp_path, skip_stops("ABCDE", "AE"))
    assert names(located.network)["M1"] == [["Airport", "Bridge", "Central", "Docks", "East"]]


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
        (["ABCDE", "XYA"], ["XYABCDE"]),  # an extension beyond the end
        (["ABCDEFC"], ["ABC", "CDEFC"]),  # a loop at the end
        (["ABCBA"], ["ABC"]),
        (["CDEFA", "ABC"], ["CDEFABC"]),  # a circle
        (["ABCDEF", "EFAB"], ["ABCDEFA"]),
        (["ABCDEF", "AF"], ["ABCDEF"]),
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
        ("stops", "50.02,8.05", "nan,8.05", "number is expected"),
        ("stops", "50.02,8.05", "inf,8.05", "number is expected"),
        ("stop_times", ",C,20", ",C,nan", r"line 4: stop_sequence"),
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


def test_two_feeds_in_one_archive(tmp_path: Path) -> None:
    path = tmp_path / "feed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("rail", "tram"):
            for name, text in tables().items():
                archive.writestr(f"{folder}/{name}.txt", text)
    with pytest.raises(DataError, match=r"folders: rail, tram"):
        network_of_feed(Feed(path), "gtfs", "feed")
    folder = tmp_path / "folder"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    with pytest.raises(DataError, match=r"folders: rail, tram"):
        network_of_feed(Feed(folder), "gtfs", "feed")


def test_tables_spread_over_folders(tmp_path: Path) -> None:
    path = tmp_path / "feed.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in tables().items():
            archive.writestr(f"{'rail' if name == 'stops' else 'tram'}/{name}.txt", text)
    with pytest.raises(DataError, match=r"rail, tram"):
        network_of_feed(Feed(path), "gtfs", "feed")


def test_a_lone_feed_below_the_top_folder(tmp_path: Path) -> None:
    expected = names(read(tmp_path, tables()).network)
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    for name, text in tables().items():
        (folder / f"{name.upper()}.TXT").write_text(text)
    (tmp_path / "folder" / "license.txt").write_text("free")
    assert names(network_of_feed(Feed(folder.parent), "gtfs", "feed").network) == expected


def test_one_table_twice(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "feed.zip", tables())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("Stops.txt", tables()["stops"])
    with pytest.raises(DataError, match="same name"):
        network_of_feed(Feed(path), "gtfs", "feed")


def test_a_zip_entry_without_a_name(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "feed.zip", tables())
    expected = names(network_of_feed(Feed(path), "gtfs", "feed").network)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("?"), "nothing")
        archive.getinfo("?").filename = ""
    assert "" in zipfile.ZipFile(path).namelist()
    assert names(network_of_feed(Feed(path), "gtfs", "feed").network) == expected


def test_a_git_lfs_pointer(tmp_path: Path) -> None:
    path = tmp_path / "feed.zip"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    with pytest.raises(DataError, match="git lfs pull"):
        network_of_feed(Feed(path), "gtfs", "feed")


def test_a_line_without_end(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    for name, text in tables().items():
        (folder / f"{name}.txt").write_text(text)
    (folder / "stops.txt").write_text("stop_id," * 200_000)
    with pytest.raises(DataError, match="over 1,000,000 characters"):
        network_of_feed(Feed(folder), "gtfs", "feed")


def test_long_chains_of_parents_cost_little(tmp_path: Path) -> None:
    rows = "".join(f"Q{i},Q,50,8,1,Q{i + 1}\n" for i in range(20_000)) + "Q20000,Q,50,8,1,\n"
    stops = tables()["stops"].replace("C,Central,50.02,8.05,0,", "C,Central,50.02,8.05,0,Q0") + rows
    begin = time.process_time()
    read(tmp_path, tables(stops=stops))
    assert time.process_time() - begin < 10


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
    other = tables(
        routes=tables()["routes"].replace("M1", "U1"),
        stops=tables()["stops"].replace("Central", "Central St."),
    )
    two = write_zip(tmp_path / "two.zip", other)
    settings = synthetic(source="gtfs", feeds=(one, two), test_cities=("two",))
    manifest = prepare(settings)
    assert [(entry.city, entry.splits) for entry in manifest.maps] == [
        ("one", ("train",)),
        ("two", ("test",)),
    ]
    assert all(entry.positions for entry in manifest.maps)
    assert list(faults(settings.out)) == []


def test_notes_reach_the_manifest_and_the_terminal(synthetic: Make, tmp_path: Path) -> None:
    content = directions("Red-N", "Red-S", ("FF0000", "FF0000"))
    one = write_zip(tmp_path / "one.zip", content)
    two = write_zip(tmp_path / "two.zip", tables())
    manifest = prepare(synthetic(source="gtfs", feeds=(one, two), test_cities=("two",)))
    assert "one: Red-N and Red-S are read as one line, Red." in manifest.notes
    drawn = CliRunner().invoke(
        app, ["draw", "--out", str(tmp_path / "map.svg"), "--feed", str(one)]
    )
    assert drawn.exit_code == 0, drawn.output
    assert "Note: Red-N and Red-S are read as one line, Red." in drawn.output


def test_feeds_of_one_name_or_none(synthetic: Make, tmp_path: Path) -> None:
    one = write_zip(tmp_path / "one.zip", tables())
    (tmp_path / "other").mkdir()
    two = write_zip(tmp_path / "other" / "one.zip", tables())
    with pytest.raises(ConfigError, match="Two feeds"):
        prepare(synthetic(source="gtfs", feeds=(one, two)))
    with pytest.raises(ConfigError, match="--feed"):
        prepare(synthetic(source="gtfs"))


REPORTED = {
    "04-parent-station-not-in-stops": ("parent_station is not in stops.txt", 3),
    "06-duplicate-stop-sequence": ("in the order of the file", 3),
    "07-one-short-name-two-agencies": ("2 lines are called M1", 3),
    "08-coordinates-zero": ("no real position", None),
    "10-two-feeds-in-one-zip": ("rail, tram", None),
    "13-skip-stop-trains": ("put together from several trips", 2),
    "17-two-stations-of-one-name-near": ("", 3),
    "23-platform-names-without-parent": ("platforms of one station, Central", 3),
    "25-colour-with-hash": ("", 3),
    "31-routes-by-direction": ("read as one line, Red", 2),
}


@pytest.mark.parametrize("name", REPORTED)
def test_reported_feeds(name: str, shared_data: Path) -> None:
    """Feeds made after reports of users: the right network with its note, or an error."""
    path = shared_data.parent / "cases" / "reports" / name / "feed.zip"
    if not path.is_file():
        pytest.skip(f"no feed {path}")
    message, lines = REPORTED[name]
    if lines is None:
        with pytest.raises(DataError, match=message):
            network_of_feed(Feed(path), "gtfs", "feed")
        return
    located = network_of_feed(Feed(path), "gtfs", "feed")
    assert len(located.network.lines) == lines
    assert message in " ".join(located.notes)
    assert bool(message) == bool(located.notes)


def test_transfers_are_walking_links(tmp_path: Path) -> None:
    rows = "from_stop_id,to_stop_id,transfer_type\nB,F,2\nF,B,2\nA,A,2\nD,G,3\nE,nowhere,0\n"
    located = read(tmp_path, tables(transfers=rows))
    index = {stop.name: stop.index for stop in located.network.stops}
    assert located.walks == (tuple(sorted((index["Bridge"], index["Forum"]))),)
    assert place_network(located).walks == located.walks


@pytest.mark.parametrize(
    ("code", "station", "language"),
    [
        ("de", "Am Markt", "german"),
        ("ES", "Plaza", "spanish"),
        ("ru", "Площадь", "cyrillic"),
        ("ru", "Ploshchad", "english"),
        ("sw", "Soko", "english"),
        ("", "Market", "english"),
    ],
)
def test_the_language_of_the_other_words(
    tmp_path: Path, code: str, station: str, language: str
) -> None:
    header = "agency_id,agency_name,agency_url,agency_timezone,agency_lang"
    content = tables(agency=f"{header}\n1,A,http://a,UTC,{code}\n")
    content["stops"] = content["stops"].replace("Airport", station)
    assert read(tmp_path, content).language == language


def test_a_fault_in_the_table_of_transfers_is_a_note(tmp_path: Path) -> None:
    located = read(tmp_path, tables(transfers="x,x\n1,2\n"))
    (note,) = (note for note in located.notes if note.startswith("transfers.txt"))
    assert "left out" in note and not located.walks
