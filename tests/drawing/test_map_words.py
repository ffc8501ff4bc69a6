"""Words of the legend and the scenery, bold names of termini, and walking links."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from rewardmap_verl.drawing import DrawnMap, draw_map, standard_style
from rewardmap_verl.drawing.fonts import font_for
from rewardmap_verl.drawing.geometry import band, overlap
from rewardmap_verl.drawing.legend import natural_key
from rewardmap_verl.drawing.map_words import words_of
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthesis.name_parts import NAME_PARTS
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network

SMALL = SyntheticSettings(lines=(5, 5), stops=(24, 24), walks=(0, 0))
SCENIC = standard_style().model_copy(update={"scenery": ("zones", "water")})


def texts(drawn: DrawnMap) -> list[ET.Element]:
    return [node for node in ET.fromstring(drawn.svg()) if node.tag.endswith("text")]


def parallel_lines(walks: tuple[tuple[int, int], ...]) -> PlacedNetwork:
    """Three lines of three stops, one above the other."""
    names = ("Line 10", "Line 2", "Line 1")
    grid = [(x, y) for y in (0, 3, 6) for x in (0, 3, 6)]
    stops = tuple(Stop(i, f"Stop {i}", (f"Stop {i}",), (names[i // 3],)) for i in range(9))
    paths = [(3 * i, 3 * i + 1, 3 * i + 2) for i in range(3)]
    lines = tuple(Line(name, path, (path,)) for name, path in zip(names, paths, strict=True))
    courses = tuple((tuple((x, y) for x in range(7)),) for y in (0, 3, 6))
    return PlacedNetwork(Network("x", "y", stops, lines), tuple(grid), courses, walks=walks)


@pytest.mark.parametrize("language", [name for name in NAME_PARTS if name != "chinese"])
def test_words_are_in_the_language_of_the_names_and_have_glyphs(language: str) -> None:
    words = words_of(language)
    placed = generate_network(2, 0, SMALL.with_languages((language,)))
    drawn = draw_map(placed, SCENIC)
    found = {node.text for node in texts(drawn)}
    assert {words.stop, words.interchange} <= found
    rivers = {words.river.format(name) for name in words.rivers}
    assert found & (rivers | {f"{words.zone} {number}" for number in (1, 2, 3)})
    for word in (words.stop, words.interchange, words.walk, words.zone, *words.rivers):
        assert font_for(word, 20).getlength(word) > 0


def test_every_language_of_names_has_its_own_words() -> None:
    assert len({words_of(name).interchange for name in NAME_PARTS}) == len(NAME_PARTS)
    assert words_of("short") is words_of("english")


def test_names_of_termini_are_bold() -> None:
    placed = generate_network(2, 0, SMALL)
    ends = {
        placed.network.stops[end].name
        for line in placed.network.lines
        for path in line.paths
        for end in ((path[0], path[-1]) if path is line.paths[0] else (path[-1],))
        if path[0] != path[-1]
    }
    for stop in placed.network.stops:
        drawn = [node for node in texts(draw_map(placed, SCENIC)) if node.text == stop.name]
        bold = {node.get("font-weight") == "bold" for node in drawn}
        assert bold <= {stop.name in ends}, stop.name


def test_the_legend_counts_as_people_do() -> None:
    drawn = draw_map(parallel_lines(()), standard_style())
    assert [entry.line for entry in sorted(drawn.legend, key=lambda one: one.box[1])] == [2, 1, 0]
    names = ["M10", "m2", "U1 Nord", "U1", "U12", "", "12", "2"]
    assert sorted(names, key=natural_key) == ["", "2", "12", "m2", "M10", "U1", "U1 Nord", "U12"]


def test_walking_links_are_dotted_and_explained() -> None:
    drawn = draw_map(parallel_lines(((1, 4),)), standard_style())
    assert drawn.walks == ((1, 4),)
    assert "Walk" in [node.text for node in texts(drawn)]
    plain = draw_map(parallel_lines(()), standard_style())
    assert "Walk" not in [node.text for node in texts(plain)]
    (x, top), (_, bottom) = drawn.stops[1], drawn.stops[4]
    column = [drawn.image.getpixel((round(x), y)) for y in range(round(top), round(bottom))]
    changes = sum((a == (255, 255, 255)) != (b == (255, 255, 255)) for a, b in pairwise(column))
    assert changes > 20  # dots, and no continuous line


@pytest.mark.parametrize("pair", [(1, 7), (0, 4), (0, 8)])
def test_a_link_across_a_track_or_too_long_is_left_out(pair: tuple[int, int]) -> None:
    kept = draw_map(parallel_lines((pair,)), standard_style()).walks
    assert kept == (((0, 4),) if pair == (0, 4) and kept else ())


def test_walking_links_change_no_network_and_cross_no_label() -> None:
    settings = SMALL.model_copy(update={"walks": (6, 6)})
    drawn_links = 0
    for index in range(4):
        placed, plain = (generate_network(2, index, one) for one in (settings, SMALL))
        assert replace(placed, walks=()) == plain
        for a, b in placed.walks:
            assert not set(placed.network.stops[a].lines) & set(placed.network.stops[b].lines)
        drawn = draw_map(placed, standard_style())
        assert not drawn.crowded
        drawn_links += len(drawn.walks)
        for a, b in drawn.walks:
            link = band(drawn.stops[a], drawn.stops[b], 1.0)
            others = [label for label in drawn.labels if label.stop not in (a, b)]
            for label in others:
                (x1, y1), _, (x2, y2), _ = label.corners
                if not label.angle:
                    assert not overlap(link, band((x1, (y1 + y2) / 2), (x2, (y1 + y2) / 2), 1.0))
    assert drawn_links
