"""Four feeds of real agencies: gold answers are recomputed from the raw tables.

The recomputation uses nothing of the package: plain CSV, lists and sets. What a reader must decide
about a feed, such as which routes are one line, is written down here by hand.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.preparation.sources.gtfs import locate_feed, place_network
from rewardmap_verl.preparation.sources.gtfs_network import Located
from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import Question, QuestionType

METRO = "Sistema de Transporte Colectivo Metro"
RAIL = {"0", "1", "2"}

LINES = {
    "bart": {
        "Antioch - SFIA/Millbrae": "01",
        "Warm Springs/South Fremont - Richmond": "03",
        "Warm Springs/South Fremont - Daly City": "05",
        "Richmond - Daly City/Millbrae": "07",
        "Dublin/Pleasanton - Daly City": "11",
        "Oakland Airport - Coliseum": "19",
    },
    "caltrain": {"Local": "Lo-16APR", "Limited": "Li-16APR", "Baby Bullet": "Bu-16APR"},
    "new_york": {"1": "1", "2": "2"},
    "mexico_city": {
        f"1 ({METRO})": "ROUTE_14243",
        "2": "ROUTE_14244",
        "3": "ROUTE_14245",
        "4": "ROUTE_14246",
        "5": "ROUTE_14247",
        "6": "ROUTE_14248",
        "7": "ROUTE_14249",
        "8": "ROUTE_14250",
        "9": "ROUTE_14251",
        "A": "ROUTE_14252",
        "B": "ROUTE_14253",
        "12": "ROUTE_14254",
    },
}
"""The route of each line; Mexico City has two more lines, whose routes are found by their names."""

COLORS = {
    "bart": {"Richmond - Daly City/Millbrae": "#ff0000", "Antioch - SFIA/Millbrae": "#ffff33"},
    "caltrain": {"Baby Bullet": "#e31837"},
    "new_york": {"1": "#ee352e", "2": "#ee352e"},
    "mexico_city": {"2": "#0072c6", "B": "#118751"},
}

SPELLINGS = {"Instituto del Petroleo": "Instituto del Petróleo"}
"""One interchange of Mexico City is spelled differently on its two lines."""

TRANSFERS = {
    "bart": {"MacArthur", "12th St. Oakland City Center", "Coliseum", "Bay Fair", "Balboa Park"},
    "caltrain": {"San Francisco Caltrain", "Hillsdale Caltrain"},
    "new_york": {"96 St", "Times Sq-42 St", "Chambers St"},
    "mexico_city": {"Balderas", "Tacubaya", "Pino Suárez", "Hidalgo", "Pantitlán", "La Raza"},
}
"""Some interchanges that any rider knows."""


@dataclass(frozen=True)
class Raw:
    """What the raw tables say, by names."""

    trips: dict[str, set[tuple[str, ...]]]
    """Names of the stations that the trips of each line call at, in their order."""
    along: dict[str, float] | None = None
    """Position of each station on the one track of a city; ``None`` where trips show the order."""

    @property
    def stations(self) -> dict[str, set[str]]:
        return {line: set().union(*map(set, some)) for line, some in self.trips.items()}

    def lines_at(self, station: str) -> list[str]:
        return sorted(line for line, some in self.stations.items() if station in some)

    def between(self, line: str, first: str, second: str) -> set[str]:
        """The stations between two of a line: on the track, or on the trips that call at both."""
        if self.along is not None:
            start, end = sorted((self.along[first], self.along[second]))
            return {one for one in self.stations[line] if start < self.along[one] < end}
        found: set[str] = set()
        for trip in self.trips[line]:
            if first in trip and second in trip:
                start, end = sorted((trip.index(first), trip.index(second)))
                found.update(trip[start + 1 : end])
        return found

    def legs(self, first: str, second: str) -> int:
        """The fewest lines that lead from one station to another."""
        reached, count = {first}, 0
        while second not in reached:
            count += 1
            reached |= {s for some in self.stations.values() if some & reached for s in some}
        return count


def table(feed: Path, name: str) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(feed) as archive, archive.open(name) as binary:
        for row in csv.DictReader(io.TextIOWrapper(binary, "utf-8-sig")):
            yield {key: (value or "").strip() for key, value in row.items()}


def read_raw(feed: Path, city: str) -> Raw:
    line_of = {route: line for line, route in LINES[city].items()}
    for row in table(feed, "routes.txt"):
        if city == "mexico_city" and row["route_id"] not in line_of and row["route_type"] in RAIL:
            suburban = "1 (Ferrocarriles Suburbanos)"
            line_of[row["route_id"]] = suburban if row["route_short_name"] == "1" else "TL 1"
    rows = {row["stop_id"]: row for row in table(feed, "stops.txt")}
    names = {}
    for stop, row in rows.items():
        station = rows[row["parent_station"]] if row.get("parent_station") else row
        name = re.sub(r"(_\d+)+$", "", station["stop_name"])
        names[stop] = SPELLINGS.get(name, name)
    trip_line = {
        row["trip_id"]: line_of[row["route_id"]]
        for row in table(feed, "trips.txt")
        if row["route_id"] in line_of
    }
    calls: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in table(feed, "stop_times.txt"):
        if row["trip_id"] in trip_line:
            calls[row["trip_id"]].append((int(row["stop_sequence"]), names[row["stop_id"]]))
    trips: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for trip, some in calls.items():
        trips[trip_line[trip]].add(tuple(name for _, name in sorted(some)))
    # No train of Caltrain stops everywhere, but its track only leads south.
    north = {names[stop]: float(row["stop_lat"]) for stop, row in rows.items()}
    return Raw(dict(trips), north if city == "caltrain" else None)


@dataclass(frozen=True)
class Case:
    city: str
    located: Located
    raw: Raw
    questions: list[Question]


@pytest.fixture(scope="module", params=sorted(LINES))
def case(request: pytest.FixtureRequest, shared_data: Path) -> Case:
    feed = shared_data / "feeds" / f"{request.param}.zip"
    if not feed.is_file():
        pytest.skip(f"no feed {feed}")
    located = locate_feed(feed)
    quotas = Quotas(12, 12, 12, 12, 1, 12)
    questions = list(generate_questions(located.network, "middle", 5, quotas))
    return Case(request.param, located, read_raw(feed, request.param), questions)


def of(case: Case, kind: QuestionType) -> list[Question]:
    found = [one for one in case.questions if one.type == kind]
    assert found, kind
    return found


def test_lines_and_their_stations(case: Case) -> None:
    network = case.located.network
    found = {line.name: {network.stops[i].name for i in line.listed} for line in network.lines}
    assert found == case.raw.stations


def test_colors_are_those_of_the_feed(case: Case) -> None:
    colors = {line.name: line.color for line in case.located.network.lines}
    assert COLORS[case.city].items() <= colors.items()


def test_interchanges_that_riders_know(case: Case) -> None:
    found = {stop.name for stop in case.located.network.interchanges()}
    assert TRANSFERS[case.city] <= found


def test_every_line_is_in_one_piece_and_runs_as_its_trips_do(case: Case) -> None:
    """Every trip follows each path of its line in one direction."""
    network = case.located.network
    for line in network.lines:
        trips = case.raw.trips[line.name]
        for path in line.paths:
            stops = [network.stops[i].name for i in path]
            for trip in trips:
                places = [stops.index(name) for name in trip if name in stops]
                ordered = sorted(places)
                assert places in (ordered, ordered[::-1]), (line.name, trip)
        first, *others = line.paths
        for path in others:
            assert set(path) & set(first), (line.name, "a branch that starts nowhere")


def test_yes_and_no(case: Case) -> None:
    for one in of(case, QuestionType.TORF1) if has(case, QuestionType.TORF1) else []:
        shared = set(case.raw.lines_at(one.station_1)) & set(case.raw.lines_at(one.station_2))
        assert one.answer == bool(shared), one
    for one in of(case, QuestionType.TORF2):
        assert one.answer == (one.station_1 in case.raw.stations[one.line]), one


def has(case: Case, kind: QuestionType) -> bool:
    """Whether the network gives questions of a type; Caltrain's lines share all but two stops."""
    return any(one.type == kind for one in case.questions)


def test_lines_through_a_stop_and_on_the_map(case: Case) -> None:
    for one in of(case, QuestionType.COUNTING2):
        assert one.answer == len(case.raw.lines_at(one.station_1)), one
    (lines,) = of(case, QuestionType.COUNTING3)
    assert lines.answer == len(case.raw.trips)


def test_stops_between(case: Case) -> None:
    for one in of(case, QuestionType.COUNTING1):
        line, options = one.annotation["line"], one.annotation["options"]
        between = case.raw.between(line, one.station_1, one.station_2)
        assert between == set(one.annotation["intermediate"]), one
        assert options[one.answer] == len(between), one


def test_routes(case: Case) -> None:
    for one in of(case, QuestionType.PLANNING):
        fewest = case.raw.legs(one.station_1, one.station_2)
        assert one.question_transfer_count == fewest - 1, one
        for plan in one.plans:
            check_plan(case.raw, plan, one)


def check_plan(raw: Raw, plan: tuple[dict[str, Any], ...], one: Question) -> None:
    ends = [one.station_1, *(leg["arrival_stop"] for leg in plan)]
    assert [leg["departure_stop"] for leg in plan] == ends[:-1]
    assert ends[-1] == one.station_2
    assert len(plan) == one.question_transfer_count + 1
    for leg in plan:
        stations = raw.stations[leg["route_name"]]
        assert {leg["departure_stop"], leg["arrival_stop"]} <= stations
        between = raw.between(leg["route_name"], leg["departure_stop"], leg["arrival_stop"])
        assert between == set(leg["via_stops"]), leg
        assert leg["num_via_stops"] == len(between)


def test_the_map_can_be_laid_out(case: Case) -> None:
    placed = place_network(case.located)
    assert len(set(placed.positions)) == len(case.located.network.stops)
