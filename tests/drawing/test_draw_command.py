"""``rewardmap draw``: one map as PNG or SVG, and the options of generated maps."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rewardmap_verl.commands.main import app
from rewardmap_verl.commands.map_options import Language
from rewardmap_verl.transit.synthetic import SyntheticSettings

SMALL = ("--difficulty", "0")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["draw", "--out", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.mark.parametrize("width", [333, 1000, 6000])
def test_a_png_has_the_requested_width(tmp_path: Path, width: int) -> None:
    out, positions = tmp_path / "map.png", tmp_path / "map.json"
    result = run(out, *SMALL, "--width", width, "--positions", positions)
    assert result.exit_code == 0, result.output
    with Image.open(out) as image:
        assert image.width == width
        assert f"{width} × {image.height}" in result.output
        places = json.loads(positions.read_text())
        assert places["size"] == list(image.size)
        assert all(0 < x < image.width and 0 < y < image.height for x, y in places["stops"])


def test_an_svg_contains_every_name(tmp_path: Path) -> None:
    out, positions = tmp_path / "map.svg", tmp_path / "map.json"
    assert run(out, *SMALL, "--positions", positions, "--language", "greek").exit_code == 0
    text = "".join(ElementTree.parse(out).getroot().itertext())
    for label in json.loads(positions.read_text())["labels"]:
        assert all(word in text for word in label["text"].split())


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        assert run(tmp_path / name, *SMALL, "--seed", 4, "--index", 2).exit_code == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_invalid_arguments_are_reported(tmp_path: Path) -> None:
    assert "NAME.png or NAME.svg" in run(tmp_path / "map.gif", *SMALL).output
    result = run(tmp_path / "map.png", "--difficulty", 1, "--language", "short")
    assert result.exit_code == 2 and "another language" in result.output
    assert run(tmp_path / "map.png", "--width", 5).exit_code == 2
    result = run(tmp_path / "map.png", "--feed", tmp_path / "nothing.zip")
    assert result.exit_code == 2 and "nothing.zip" in result.output
    assert not list(tmp_path.iterdir())


def test_chinese_names_without_their_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rewardmap_verl.drawing.fonts.find_spec",
        lambda name: None if "cjk" in name else importlib.util.find_spec(name),
    )
    result = run(tmp_path / "map.png", *SMALL, "--language", "chinese")
    assert result.exit_code == 2
    assert "pip install justmytype-intl-cjk" in result.output


def test_every_language_is_accepted() -> None:
    for language in Language:
        settings = SyntheticSettings(stops=(20, 30)).with_languages((language.value,))
        assert settings.languages == (language.value,)
