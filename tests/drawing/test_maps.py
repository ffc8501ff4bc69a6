"""Drawn maps: everything in its place, readable, and the same bytes for the same seed."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest
from PIL import Image, ImageColor

from rewardmap_verl.drawing import DrawnMap, draw_map, standard_style, tiny_style
from rewardmap_verl.drawing.geometry import distance, overlap
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthetic import generate_network, standard_settings, tiny_settings

Pair = tuple[PlacedNetwork, DrawnMap]


@pytest.fixture(scope="module")
def tiny_maps() -> list[Pair]:
    networks = [generate_network(3, index, tiny_settings()) for index in range(8)]
    return [(placed, draw_map(placed, tiny_style())) for placed in networks]


@pytest.fixture(scope="module")
def standard_maps() -> list[Pair]:
    networks = [generate_network(3, index, standard_settings()) for index in range(3)]
    return [(placed, draw_map(placed, standard_style())) for placed in networks]


@pytest.fixture(scope="module")
def every_map(tiny_maps, standard_maps) -> Sequence[Pair]:
    return [*tiny_maps, *standard_maps]


def near(image: Image.Image, point: tuple[float, float]) -> tuple:
    return image.getpixel((round(point[0]), round(point[1])))


def test_nothing_is_crowded(every_map):
    assert [drawn.crowded for _, drawn in every_map] == [()] * len(every_map)


def test_every_stop_has_its_name_inside_the_canvas(every_map):
    for placed, drawn in every_map:
        width, height = drawn.size
        assert [label.text for label in drawn.labels] == [s.name for s in placed.network.stops]
        for label in drawn.labels:
            assert all(0 <= x <= width and 0 <= y <= height for x, y in label.corners)


def test_labels_do_not_overlap(every_map):
    for _, drawn in every_map:
        for i, label in enumerate(drawn.labels):
            for other in drawn.labels[i + 1 :]:
                assert not overlap(label.corners, other.corners), (label.text, other.text)


def test_each_label_is_nearest_to_its_own_stop(every_map):
    for _, drawn in every_map:
        for label in drawn.labels:
            distances = [distance(label.corners, stop) for stop in drawn.stops]
            assert min(distances) == distances[label.stop]


def test_no_line_runs_through_a_label(every_map):
    for _, drawn in every_map:
        points = [p for line in drawn.curves for path in line for p in path]
        for label in drawn.labels:
            assert all(distance(label.corners, point) > 0 for point in points)


def test_lines_have_the_colour_of_their_legend_entry(every_map):
    for placed, drawn in every_map:
        for line, entry in zip(placed.network.lines, drawn.legend, strict=True):
            colour = ImageColor.getrgb(line.color)
            left, top, right, bottom = (round(value) for value in entry.box)
            swatch = drawn.image.crop((left, top, right, bottom))
            assert colour in {found for _, found in swatch.getcolors(1 << 20)}
            assert placed.network.lines[entry.line] is line


def test_stops_are_drawn_as_light_symbols_and_interchanges_larger(every_map):
    for placed, drawn in every_map:
        for stop, calls in zip(placed.network.stops, drawn.calls, strict=True):
            assert set(calls) == set(stop.lines)
            assert all(near(drawn.image, point) == (255, 255, 255) for point in calls.values())


def test_label_boxes_hold_ink(every_map):
    for _, drawn in every_map:
        for label in drawn.labels:
            xs, ys = zip(*label.corners, strict=True)
            box = (round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys)))
            assert drawn.image.crop(box).convert("L").getextrema()[0] < 90, label.text


def test_tiny_maps_have_a_small_native_size(tiny_maps):
    assert all(400 <= max(drawn.size) <= 1200 for _, drawn in tiny_maps)


def test_png_is_the_image_and_the_same_each_time(tiny_maps):
    placed, drawn = tiny_maps[0]
    again = draw_map(generate_network(3, 0, tiny_settings()), tiny_style())
    assert again.png() == drawn.png()
    assert again.svg() == drawn.svg()
    opened = Image.open(io.BytesIO(drawn.png()))
    assert opened.size == drawn.size and opened.tobytes() == drawn.image.tobytes()
    assert placed.network.city


def test_wished_width_scales_everything(tiny_maps):
    placed, drawn = tiny_maps[1]
    large = draw_map(placed, tiny_style(), width=2 * drawn.size[0])
    assert large.size == (2 * drawn.size[0], 2 * drawn.size[1])
    for (x, y), (x2, y2) in zip(drawn.stops, large.stops, strict=True):
        assert (x2, y2) == pytest.approx((2 * x, 2 * y), abs=0.1)


def test_svg_is_xml_with_every_name(every_map):
    for placed, drawn in every_map:
        root = ET.fromstring(drawn.svg())
        written = " ".join("".join(node.itertext()) for node in root)
        for stop in placed.network.stops:
            assert all(word in written for word in stop.name.split())
        assert all(line.name in written for line in placed.network.lines)


def test_positions_are_json(tiny_maps):
    _, drawn = tiny_maps[0]
    data = json.loads(json.dumps(drawn.to_json()))
    assert data["size"] == list(drawn.size)
    assert len(data["stops"]) == len(data["labels"]) == len(drawn.stops)
