"""Badges: every line has one with its full name, however long, also a loop."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.drawing import DrawnMap, draw_map, layout_from_coordinates, standard_style
from rewardmap_verl.drawing.badges import badge_rows
from rewardmap_verl.preparation.sources.gtfs import locate_feed, place_network
from rewardmap_verl.transit.network import Line, Network, Stop

RING = ((0, 2), (1, 1), (2, 0), (1, -1), (0, -2), (-1, -1), (-2, 0), (-1, 1))


def draw(lines: dict[str, tuple[int, ...]], places: list[tuple[float, float]]) -> DrawnMap:
    """Draw lines, given by name and stops, through stops at ``places``."""
    stops = tuple(
        Stop(i, f"Stop {i}", (f"Stop {i}",), tuple(n for n, path in lines.items() if i in path))
        for i in range(len(places))
    )
    built = tuple(Line(name, path, (path,), None) for name, path in lines.items())
    return draw_map(
        layout_from_coordinates(Network("x", "Town", stops, built), places), standard_style()
    )


def texts_in(drawn: DrawnMap, box: tuple[float, ...]) -> str:
    """Return the words of the SVG that start inside a box, row by row."""
    left, top, right, bottom = box
    nodes = [node for node in ET.fromstring(drawn.svg()) if node.tag.endswith("text")]
    inside = [
        node
        for node in nodes
        if left <= float(node.get("x", "-1")) <= right
        and top <= float(node.get("y", "-1")) <= bottom
    ]
    return " ".join(node.text or "" for node in inside)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("Line 12", ("12",)),
        ("Line ", ("Line",)),
        ("Red Line", ("Red Line",)),
        ("Warm Springs/South Fremont - Daly City", ("Warm Springs/South", "Fremont - Daly City")),
        ("Donaudampfschifffahrtslinie", ("Donaudampfschifffahrtslinie",)),
    ],
)
def test_long_names_take_several_rows(name: str, rows: tuple[str, ...]) -> None:
    assert badge_rows(name) == rows


@pytest.mark.parametrize("name", ["7", "Bullet", "Warm Springs/South Fremont - Daly City"])
def test_badges_at_both_ends_show_the_whole_name(name: str) -> None:
    drawn = draw({name: (0, 1, 2)}, [(0.0, i / 50) for i in range(3)])
    assert {badge.stop for badge in drawn.badges} == {0, 2}
    assert [texts_in(drawn, badge.box) for badge in drawn.badges] == [name, name]


def test_a_loop_has_a_badge() -> None:
    places = [(y / 50, x / 50) for x, y in RING]
    drawn = draw({"Circle Line": (*range(8), 0), "Cross": (0, 4)}, places)
    assert {badge.line for badge in drawn.badges} == {0, 1}
    circle = next(badge for badge in drawn.badges if badge.line == 0)
    assert texts_in(drawn, circle.box) == "Circle Line"
    assert circle.stop not in (0, 4), "a stop of this line only"


def test_many_lines_with_long_names_at_one_terminus_all_have_badges() -> None:
    places = [(0.0, 0.0), *((y / 50, x / 50) for x, y in RING)]
    lines = {f"Service to quarter number {i}": (0, i) for i in range(1, 9)}
    drawn = draw(lines, places)
    assert {badge.line for badge in drawn.badges} == set(range(8))
    assert drawn.crowded == ()


@pytest.mark.parametrize("feed", ["bart", "caltrain", "mexico_city"])
def test_every_line_of_a_real_feed_has_a_badge(shared_data: Path, feed: str) -> None:
    placed = place_network(locate_feed(shared_data / "feeds" / f"{feed}.zip"))
    drawn = draw_map(placed, standard_style())
    assert {badge.line for badge in drawn.badges} == set(range(len(placed.network.lines)))


TABLES = {
    "agency.txt": "agency_id,agency_name,agency_url,agency_timezone\na,A,http://a,UTC\n",
    "routes.txt": "route_id,agency_id,route_short_name,route_type,route_color\nr,a,M1,1,FF0000\n",
    "trips.txt": "route_id,service_id,trip_id\nr,s,t\n",
    "stops.txt": "stop_id,stop_name,stop_lat,stop_lon\n"
    "1,Ash,50.0,8.0\n2,Birch,50.0,8.1\n3,Cedar,50.1,8.2\n",
    "stop_times.txt": "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n"
    "t,1:00:00,1:00:00,1,1\nt,1:05:00,1:05:00,2,2\nt,1:09:00,1:09:00,3,3\n",
    "calendar.txt": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,"
    "start_date,end_date\ns,1,1,1,1,1,1,1,20260101,20270101\n",
}


@pytest.mark.parametrize("difficulty", ["0.3", "1"])
def test_the_map_of_a_feed_has_badges_and_no_invented_scenery(
    tmp_path: Path, difficulty: str
) -> None:
    feed, out = tmp_path / "town", tmp_path / "map.svg"
    feed.mkdir()
    for name, text in TABLES.items():
        (feed / name).write_text(text)
    command = ["draw", "-o", str(out), "--feed", str(feed), "--difficulty", difficulty]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    words = [node.text or "" for node in ET.parse(out).getroot() if node.tag.endswith("text")]
    assert sorted(words) == sorted(
        ["Town", "Ash", "Birch", "Cedar", "M1", "M1", "M1", "Stop", "Interchange"]
    )
