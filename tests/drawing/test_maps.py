"""Drawn maps: legible, faithful to the network, and the same bytes for the same seed.

These tests have separate geometry, so that an error in the package's geometry cannot hide itself.
"""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import pytest
from PIL import Image, ImageColor

from rewardmap_verl.drawing import (
    DrawnMap,
    draw_map,
    standard_style,
    style_at,
    tiny_style,
)
from rewardmap_verl.transit.placement import PlacedNetwork
from rewardmap_verl.transit.synthetic import (
    SyntheticSettings,
    generate_network,
    settings_at,
    tiny_settings,
)

Pair = tuple[PlacedNetwork, DrawnMap]
Point = tuple[float, float]
Polygon = Sequence[Point]


def box_corners(box: Sequence[float]) -> Polygon:
    left, top, right, bottom = box
    return (left, top), (right, top), (right, bottom), (left, bottom)


def point_to_segment(p: Point, a: Point, b: Point) -> float:
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = dx * dx + dy * dy
    t = max(0.0, min(1.0, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length)) if length else 0.0
    return ((p[0] - a[0] - t * dx) ** 2 + (p[1] - a[1] - t * dy) ** 2) ** 0.5


def sides(polygon: Polygon) -> Iterator[tuple[Point, Point]]:
    return pairwise([*polygon, polygon[0]])


def inside(polygon: Polygon, p: Point) -> bool:
    turns = [
        (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) for a, b in sides(polygon)
    ]
    return all(turn > 0 for turn in turns) or all(turn < 0 for turn in turns)


def gap(polygon: Polygon, p: Point) -> float:
    """Return the distance of a point from a convex polygon."""
    return 0.0 if inside(polygon, p) else min(point_to_segment(p, a, b) for a, b in sides(polygon))


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def collide(first: Polygon, second: Polygon) -> bool:
    """Return whether two convex polygons overlap."""
    if any(inside(first, p) for p in second) or any(inside(second, p) for p in first):
        return True
    return any(cross(*s, *t) for s in sides(first) for t in sides(second))


def near_each_other(first: Polygon, second: Polygon) -> bool:
    return all(
        min(p[axis] for p in first) <= max(p[axis] for p in second)
        and min(p[axis] for p in second) <= max(p[axis] for p in first)
        for axis in (0, 1)
    )


def drawn_words(drawn: DrawnMap) -> dict[str, Polygon]:
    """Return everything with words that must stay legible."""
    words = {f"name {label.text}": label.corners for label in drawn.labels}
    words |= {f"badge {i}": box_corners(badge.box) for i, badge in enumerate(drawn.badges)}
    words |= {f"scenery {i}": box_corners(box) for i, box in enumerate(drawn.words)}
    words["legend"] = box_corners(drawn.legend_box)
    return words


def segments(drawn: DrawnMap) -> Iterator[tuple[Point, Point]]:
    for line in drawn.curves:
        for path in line:
            yield from pairwise(path)


@pytest.fixture(scope="module")
def tiny_maps() -> list[Pair]:
    networks = [generate_network(3, index, tiny_settings()) for index in range(4)]
    return [(placed, draw_map(placed, tiny_style())) for placed in networks]


@pytest.fixture(scope="module")
def full_maps() -> list[Pair]:
    """Return small standard maps with every feature, and two by difficulty."""
    style = standard_style().model_copy(update={"scenery": ("zones", "water", "grid")})
    plain = SyntheticSettings(lines=(5, 6), stops=(30, 36))
    special = SyntheticSettings(
        lines=(6, 6), stops=(36, 40), express=(2, 2), shared=(2, 2), branches=(2, 2)
    )
    proposals = [(0, plain, style), (1, special, style)]
    proposals += [(n, settings_at(knob), style_at(knob)) for n, knob in ((3, 0.0), (4, 0.25))]
    placed = [(generate_network(3, n, settings), look) for n, settings, look in proposals]
    return [(network, draw_map(network, look)) for network, look in placed]


@pytest.fixture(scope="module")
def every_map(tiny_maps, full_maps) -> Sequence[Pair]:
    return [*tiny_maps, *full_maps]


def test_nothing_is_crowded(every_map):
    assert [drawn.crowded for _, drawn in every_map] == [()] * len(every_map)


def test_every_stop_has_its_name_and_nothing_is_clipped(every_map):
    for placed, drawn in every_map:
        width, height = drawn.size
        assert [label.text for label in drawn.labels] == [s.name for s in placed.network.stops]
        for what, corners in drawn_words(drawn).items():
            assert all(0 <= x <= width and 0 <= y <= height for x, y in corners), what


def test_words_do_not_overlap(every_map):
    for _, drawn in every_map:
        for (what, first), (other, second) in combinations(drawn_words(drawn).items(), 2):
            hit = near_each_other(first, second) and collide(first, second)
            assert not hit, (what, other)


def test_each_name_is_nearest_to_its_own_stop(every_map):
    for _, drawn in every_map:
        for label in drawn.labels:
            distances = [gap(label.corners, stop) for stop in drawn.stops]
            assert min(distances) == distances[label.stop]
            assert sorted(distances)[1] > distances[label.stop], label.text


def test_no_line_or_symbol_crosses_a_word(every_map):
    for placed, drawn in every_map:
        half = (18 if drawn.badges == () else 12) / 2
        for what, corners in drawn_words(drawn).items():
            for a, b in segments(drawn):
                if near_each_other(corners, (a, b)):
                    assert not any(cross(a, b, *side) for side in sides(corners)), what
                assert gap(corners, a) > half * 0.5, what
            if not what.startswith("badge"):
                assert all(gap(corners, stop) > half for stop in drawn.stops), what
        assert placed.network.stops


def darkest(image: Image.Image, corners: Polygon, low: float, high: float) -> int:
    """Return the darkest pixel of a label between ``low`` and ``high`` along the text."""
    (ax, ay), (bx, by), (_cx, cy), (dx, dy) = corners
    if ay == by:
        box = (ax + (bx - ax) * low, ay, ax + (bx - ax) * high, cy)
        return image.crop(tuple(round(value) for value in box)).getextrema()[0]
    return min(
        image.getpixel(
            (
                round(ax + (bx - ax) * t + (dx - ax) * u),
                round(ay + (by - ay) * t + (dy - ay) * u),
            )
        )
        for t in (low + (high - low) * i / 60 for i in range(60))
        for u in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    )


def test_labels_are_visible(every_map):
    """A hidden or clipped label would leave part of its box without ink."""
    for _, drawn in every_map:
        grey = drawn.image.convert("L")
        for label in drawn.labels:
            for third in range(3):
                shade = darkest(grey, label.corners, third / 3, (third + 1) / 3)
                assert shade < 140, (label.text, label.angle, third)


def test_legend_shows_each_line_once_in_its_color(every_map):
    for placed, drawn in every_map:
        assert [entry.line for entry in drawn.legend] == list(range(len(placed.network.lines)))
        for line, entry in zip(placed.network.lines, drawn.legend, strict=True):
            swatch = drawn.image.crop(tuple(round(value) for value in entry.box))
            colors = {found for _, found in swatch.getcolors(1 << 20)}
            assert ImageColor.getrgb(line.color) in colors


def test_lines_are_drawn_in_their_color_between_stops(full_maps):
    """The middle of a straight piece of each line has the color of the line."""
    for placed, drawn in full_maps:
        for line, paths in zip(placed.network.lines, drawn.curves, strict=True):
            pieces = [piece for path in paths for piece in pairwise(path)]
            a, b = max(pieces, key=lambda piece: point_to_segment(*piece, piece[1]))
            middle = (round((a[0] + b[0]) / 2), round((a[1] + b[1]) / 2))
            assert drawn.image.getpixel(middle) == ImageColor.getrgb(line.color), line.name


def test_lines_pass_exactly_their_own_stop_symbols(every_map):
    """Each line passes its own stops and no other stop's symbol."""
    for placed, drawn in every_map:
        for stop, calls in zip(placed.network.stops, drawn.calls, strict=True):
            assert set(calls) == set(stop.lines)
            for point in calls.values():
                pixel = drawn.image.getpixel((round(point[0]), round(point[1])))
                assert pixel == (255, 255, 255)
        for line, curves in zip(placed.network.lines, drawn.curves, strict=True):
            pieces = [piece for path in curves for piece in pairwise(path)]
            for stop, calls in zip(placed.network.stops, drawn.calls, strict=True):
                if line.name not in calls:
                    apart = min(
                        point_to_segment(point, *piece)
                        for point in calls.values()
                        for piece in pieces
                    )
                    assert apart > 8, (line.name, stop.name)


def test_interchanges_have_a_larger_symbol(tiny_maps):
    style = tiny_style()
    for placed, drawn in tiny_maps:
        rim = (style.interchange_radius + style.stop_radius) / 2
        for stop, (x, y) in zip(placed.network.stops, drawn.stops, strict=True):
            ring = [
                drawn.image.getpixel((round(x + dx * rim), round(y + dy * rim)))
                for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
            ]
            large = all(sum(pixel) < 3 * 120 or pixel == (255, 255, 255) for pixel in ring)
            dark = any(pixel == ImageColor.getrgb(style.ink) for pixel in ring)
            assert (large and dark) == (len(stop.lines) > 1), stop.name


def test_every_line_has_a_badge_at_one_of_its_stops(full_maps):
    for placed, drawn in full_maps:
        assert {badge.line for badge in drawn.badges} == set(range(len(placed.network.lines)))
        for badge in drawn.badges:
            assert badge.stop in placed.network.lines[badge.line].stops
            corners = box_corners(badge.box)
            distances = [gap(corners, stop) for stop in drawn.stops]
            assert distances[badge.stop] == min(distances)


def test_scenery_does_not_change_the_network(full_maps):
    placed, drawn = full_maps[0]
    plain = draw_map(placed, standard_style())
    assert [label.text for label in plain.labels] == [label.text for label in drawn.labels]
    shifts = {
        (round(a[0] - b[0], 1), round(a[1] - b[1], 1))
        for a, b in zip(plain.stops, drawn.stops, strict=True)
    }
    assert len(shifts) == 1 and drawn.words and not plain.words


def test_tiny_maps_have_a_small_native_size(tiny_maps):
    assert all(400 <= max(drawn.size) <= 1200 for _, drawn in tiny_maps)


def test_same_seed_same_bytes(tiny_maps):
    _, drawn = tiny_maps[0]
    again = draw_map(generate_network(3, 0, tiny_settings()), tiny_style())
    assert again.png() == drawn.png()
    assert again.svg() == drawn.svg()
    assert again.to_json() == drawn.to_json()


def test_the_png_contains_the_image(tiny_maps):
    _, drawn = tiny_maps[0]
    opened = Image.open(io.BytesIO(drawn.png()))
    assert opened.size == drawn.size and opened.mode == "RGB"
    assert opened.tobytes() == drawn.image.tobytes()


def test_width_scales_everything(tiny_maps):
    placed, drawn = tiny_maps[1]
    large = draw_map(placed, tiny_style(), width=2 * drawn.size[0])
    assert large.image.size == large.size == (2 * drawn.size[0], 2 * drawn.size[1])
    for (x, y), (x2, y2) in zip(drawn.stops, large.stops, strict=True):
        assert (x2, y2) == pytest.approx((2 * x, 2 * y), abs=0.1)


def test_svg_has_every_name_and_the_same_shapes(every_map):
    for placed, drawn in every_map:
        root = ET.fromstring(drawn.svg())
        written = " ".join("".join(node.itertext()) for node in root)
        for stop in placed.network.stops:
            assert all(word in written for word in stop.name.split())
        assert all(line.name in written for line in placed.network.lines)
        assert len(root) == len(drawn.scene.shapes) + 1  # and the background


def test_positions_are_json(full_maps):
    placed, drawn = full_maps[0]
    data = json.loads(json.dumps(drawn.to_json()))
    assert data["size"] == list(drawn.size)
    assert len(data["stops"]) == len(data["labels"]) == len(placed.network.stops)
    assert [entry["line"] for entry in data["legend"]] == list(range(len(data["curves"])))
