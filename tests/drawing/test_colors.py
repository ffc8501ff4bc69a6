"""Colors of lines: distinguishable on the map, visible on white, and true to the line's name."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from PIL import ImageColor

from rewardmap_verl.drawing.color_difference import color_difference, lab_of
from rewardmap_verl.drawing.color_names import color_category, named_categories
from rewardmap_verl.drawing.colors import SMALLEST_DIFFERENCE, line_colors
from rewardmap_verl.preparation.sources.gtfs import locate_feed
from rewardmap_verl.transit.network import Line, Network
from rewardmap_verl.transit.synthesis.palette import PALETTE

WHITE = "#ffffff"


def network_of(*lines: tuple[str, str | None], stops: int = 4) -> Network:
    """Return lines, given as (name, color), that all call at the same stops."""
    path = tuple(range(stops))
    return Network("x", "y", (), tuple(Line(name, path, (path,), color) for name, color in lines))


def gap(one: str, other: str) -> float:
    return color_difference(lab_of(one), lab_of(other))


def smallest_gap(colors: tuple[str, ...]) -> float:
    return min(gap(one, other) for one, other in combinations(colors, 2))


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_differences_match_the_published_pairs(one, other, difference) -> None:
    """Pairs of table 1 of Sharma, Wu and Dalal (2005)."""
    assert color_difference(one, other) == pytest.approx(difference, abs=1e-4)
    assert color_difference(other, one) == pytest.approx(difference, abs=1e-4)


def test_lab_coordinates_of_known_colors() -> None:
    assert lab_of("#ffffff") == pytest.approx((100, 0, 0), abs=0.02)
    assert lab_of("#ff0000") == pytest.approx((53.24, 80.09, 67.20), abs=0.02)


def test_the_palette_keeps_its_colors() -> None:
    network = network_of(*((f"{name} Line", color) for name, color in PALETTE))
    assert line_colors(network) == tuple(color for _, color in PALETTE)
    assert smallest_gap(line_colors(network)) >= SMALLEST_DIFFERENCE


def test_a_shared_near_or_pale_color_is_replaced() -> None:
    lines = ("1", "#e31837"), ("2", "#E31837"), ("3", "#d62828"), ("4", "#fef0b5"), ("5", WHITE)
    colors = line_colors(network_of(*lines))
    assert colors[0] == "#e31837"
    assert smallest_gap(colors) >= SMALLEST_DIFFERENCE
    assert all(gap(color, WHITE) >= 20 for color in colors)


def test_a_pale_color_becomes_a_similar_one() -> None:
    (color,) = line_colors(network_of(("1", "#fef0b5")))
    assert color_category(color) == "yellow" and gap(color, WHITE) > 25


@pytest.mark.parametrize("amount", [12, 24, 40])
def test_many_lines_of_one_color_get_distinct_colors(amount: int) -> None:
    colors = line_colors(network_of(*((str(i), "#ee352e") for i in range(amount))))
    assert len(set(colors)) == amount
    assert smallest_gap(colors) >= (16 if amount <= 24 else 8)


def test_the_line_that_names_the_color_keeps_it() -> None:
    colors = line_colors(network_of(("Express", "#ff0000"), ("Red Line", "#ff0000")))
    assert colors[1] == "#ff0000" and gap(*colors) >= SMALLEST_DIFFERENCE


@pytest.mark.parametrize(
    ("name", "color", "category"),
    [
        ("Red-N", "#800080", "red"),
        ("Línea Azul", "#ff0000", "blue"),
        ("Linha Vermelha", "#00a000", "red"),
        ("Grüne Linie", "#d62828", "green"),
        ("绿线", "#d62828", "green"),
        ("Синяя линия", None, "blue"),
    ],
)
def test_a_color_that_contradicts_the_name_is_not_used(name, color, category) -> None:
    others = [(f"L{i}", value) for i, (_, value) in enumerate(PALETTE[3:8])]
    colors = line_colors(network_of((name, color), *others))
    assert color_category(colors[0]) == category
    assert smallest_gap(colors) >= SMALLEST_DIFFERENCE


@pytest.mark.parametrize(
    "name",
    [
        "Redwood City",
        "Blackfriars Loop",
        "紅磡",
        "Santa Rosa - San Rafael",
        "Orange County Line",
        "Silver Spring",
    ],
)
def test_names_of_places_name_no_color(name: str) -> None:
    assert named_categories(name) == frozenset()


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("Red-N", "red"),
        ("RED", "red"),
        ("Red Line to Alewife", "red"),
        ("Green Line B", "green"),
        ("Metrorail Orange Line", "orange"),
        ("Línea Azul 2", "blue"),
        ("Linie Grün", "green"),
        ("Zelená linka", "green"),
        ("機場紅線", "red"),
        ("Зелёная линия", "green"),
    ],
)
def test_names_of_colors_are_found(name: str, category: str) -> None:
    assert category in named_categories(name)


def test_both_directions_of_a_service_share_its_color() -> None:
    lines = [
        ("Red-N", "#ff0000"),
        ("Red-S", "#ff0000"),
        ("Blue-N", "#0099cc"),
        ("Blue-S", "#0099cc"),
    ]
    assert line_colors(network_of(*lines)) == ("#ff0000", "#ff0000", "#0099cc", "#0099cc")


def test_lines_of_one_color_in_different_places_are_no_directions() -> None:
    north, south = (0, 1, 2), (7, 8, 9)
    lines = Line("Red-N", north, (north,), "#ff0000"), Line("Red-S", south, (south,), "#ff0000")
    assert gap(*line_colors(Network("x", "y", (), lines))) >= SMALLEST_DIFFERENCE


def test_letters_are_no_directions() -> None:
    lines = [("Line N", "#fccc0a"), ("Line W", "#fccc0a")]
    assert gap(*line_colors(network_of(*lines))) >= SMALLEST_DIFFERENCE


@pytest.mark.parametrize("case", ["03-two-lines-of-one-colour", "31-routes-by-direction"])
def test_lines_of_reported_feeds_can_be_told_apart(shared_data: Path, case: str) -> None:
    network = locate_feed(shared_data.parent / "cases" / "reports" / case / "feed.zip").network
    colors = dict(zip((line.name for line in network.lines), line_colors(network), strict=True))
    services = {name.split("-")[0]: color for name, color in colors.items()}
    assert smallest_gap(tuple(services.values())) >= SMALLEST_DIFFERENCE
    for name, color in colors.items():
        assert color_category(color) in (named_categories(name) or {color_category(color)})


@pytest.mark.parametrize("feed", ["bart", "caltrain", "mexico_city", "new_york"])
def test_lines_of_real_feeds_can_be_told_apart(shared_data: Path, feed: str) -> None:
    network = locate_feed(shared_data / "feeds" / f"{feed}.zip").network
    colors = line_colors(network)
    assert all(ImageColor.getrgb(color) for color in colors)
    assert smallest_gap(colors) >= SMALLEST_DIFFERENCE
    assert all(gap(color, WHITE) >= 20 for color in colors)
