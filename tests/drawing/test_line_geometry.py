"""The positions file of a drawn map: lines in the colors in which they are drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from rewardmap_verl.drawing import draw_map, standard_style
from rewardmap_verl.drawing.line_geometry import read_line_geometry
from rewardmap_verl.transit.network import Line
from rewardmap_verl.transit.synthetic import SyntheticSettings, generate_network


def test_a_line_has_the_color_of_the_map(tmp_path: Path) -> None:
    placed = generate_network(2, 0, SyntheticSettings(lines=(3, 3), stops=(12, 12)))
    red = tuple(replace(line, color="#d62828") for line in placed.network.lines)
    network = replace(placed.network, lines=red)
    drawn = draw_map(replace(placed, network=network), standard_style())
    path = tmp_path / "map.json"
    path.write_text(json.dumps(drawn.to_json()))
    geometry = read_line_geometry(path, network)
    assert len(set(drawn.colors)) == 3
    assert tuple(map(geometry.color_of, network.lines)) == drawn.colors


def test_a_line_without_a_drawn_color_has_that_of_the_source(tmp_path: Path) -> None:
    placed = generate_network(2, 0, SyntheticSettings(lines=(3, 3), stops=(12, 12)))
    drawn = draw_map(placed, standard_style())
    data = drawn.to_json()
    del data["colors"]
    (tmp_path / "map.json").write_text(json.dumps(data))
    geometry = read_line_geometry(tmp_path / "map.json", placed.network)
    first = placed.network.lines[0]
    assert geometry.color_of(first) == first.color
    assert geometry.color_of(Line("new", (0, 1), ((0, 1),))) == ""
