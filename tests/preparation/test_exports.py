"""Exports for other tools: their own readers open them, whatever stands in the names."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.preparation.exports.gallery import export_gallery
from rewardmap_verl.preparation.exports.hub import export_hub
from rewardmap_verl.preparation.exports.sharegpt import export_sharegpt
from rewardmap_verl.preparation.exports.vlmevalkit import COLUMNS, export_vlmevalkit
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.records import PreparedQuestion, read_prepared_questions
from rewardmap_verl.preparation.settings import PrepareSettings

Make = Callable[..., PrepareSettings]

NASTY = (
    'Quote " Station',
    "Apo'strophe & Ampersand",
    "Back\\slash, comma; semicolon",
    "{{ braces }} {% raw %} ${HOME} `tick`",
    "-- Dash -- =1+1 @cell",
    "Ünïcödé 西单站 عربي 🚇",
)


@pytest.fixture
def prepared(local: Make, root: Path) -> tuple[Path, Manifest]:
    """A prepared folder in which a test city has names with every troublesome character."""
    lines = {"Line 1": [*NASTY, "Plain"], "Line 2": ["Other", NASTY[1], NASTY[5], "Last"]}
    (root / "stations/south/gamma.json").write_text(json.dumps(lines), encoding="utf-8")
    settings = local()
    return settings.out, prepare(settings)


def records(folder: Path, manifest: Manifest, split: str) -> list[PreparedQuestion]:
    return list(read_prepared_questions(folder, split))


def test_the_names_are_really_asked_about(prepared: tuple[Path, Manifest]) -> None:
    text = "".join(record.text for record in records(*prepared, "test"))
    assert sum(name in text for name in NASTY) >= 3


def test_sharegpt(prepared: tuple[Path, Manifest], tmp_path: Path) -> None:
    target = tmp_path / "export"
    export_sharegpt(*prepared, target)
    entries = json.loads((target / "dataset_info.json").read_text(encoding="utf-8"))
    assert set(entries) == {"rewardmap_train", "rewardmap_test"}
    for name, entry in entries.items():
        rows = json.loads((target / entry["file_name"]).read_text(encoding="utf-8"))
        expected = records(*prepared, name.removeprefix("rewardmap_"))
        for row, record in zip(rows, expected, strict=True):
            human, gpt = row[entry["columns"]["messages"]]
            assert human == {"from": "human", "value": f"<image>\n{record.text}"}
            assert gpt == {"from": "gpt", "value": record.answer}
            (image,) = row[entry["columns"]["images"]]
            assert Image.open(target / image).size == Image.open(prepared[0] / image).size


def test_vlmevalkit(prepared: tuple[Path, Manifest], tmp_path: Path) -> None:
    (path,) = export_vlmevalkit(*prepared, tmp_path / "export")
    expected = [one for one in records(*prepared, "test") if not one.truth.is_planning]
    table = pd.read_csv(path, sep="\t", keep_default_na=False)  # as VLMEvalKit reads it
    assert tuple(table.columns) == COLUMNS
    assert list(table["question"]) == [one.text for one in expected]
    assert list(table["answer"].astype(int)) == [one.truth.answer for one in expected]
    assert list(table["type"]) == [one.truth.type.value for one in expected]
    assert set(table["difficulty_city"]) <= {"easy", "middle", "hard"}
    assert all(Path(image).is_file() for image in table["image_path"])
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, dialect="excel-tab"))
    assert [row["station_1"] for row in rows] == [one.truth.station_1 for one in expected]


def test_hub(
    prepared: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    target = tmp_path / "export"
    export_hub(*prepared, target, "cc-by-4.0")
    questions = datasets.load_dataset(str(target))
    for split in ("train", "test"):
        expected = records(*prepared, split)
        assert questions[split]["question"][:] == [one.text for one in expected]
        assert questions[split]["response"][:] == [one.answer for one in expected]
    maps = datasets.load_dataset(str(target), "maps")["train"]
    assert isinstance(maps.features["image"], datasets.Image)
    assert {row["id"] for row in maps} == {"north/alpha", "north/beta", "south/gamma"}
    assert all(row["image"].size == (row["width"], row["height"]) for row in maps)
    assert set(questions["train"]["map"]) <= set(maps["id"])
    card = (target / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    for split, count in prepared[1].rows.items():
        assert split in card and str(count) in card


class Page(HTMLParser):
    """Collects what a browser would show, and what it would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: list[str] = []
        self.images: list[str] = []
        self.points: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._inside = tag == "span"
        if tag == "span":
            self.cells.append("")
        if tag == "img":
            self.images.append(given["src"] or "")
        if tag == "polyline" and given.get("class") == "leg":
            self.points.append(given["points"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "span"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data


def page_of(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def test_gallery_shows_every_question_as_it_is(
    prepared: tuple[Path, Manifest], tmp_path: Path
) -> None:
    (path,) = export_gallery(*prepared, tmp_path / "export")
    page = page_of(path)
    for split in ("train", "test"):
        for record in records(*prepared, split):
            assert record.text in page.cells
            assert record.answer in page.cells
    assert page.tags.count("script") == 1
    assert all((path.parent / image).is_file() for image in page.images)
    assert "://" not in path.read_text(encoding="utf-8")  # needs no connection


def test_gallery_draws_routes_through_the_stops(synthetic: Make, tmp_path: Path) -> None:
    settings = synthetic()
    manifest = prepare(settings)
    (path,) = export_gallery(settings.out, manifest, tmp_path / "export")
    page = page_of(path)
    planned = [one for split in ("train", "test") for one in records(settings.out, manifest, split)]
    routes = [one.truth.plans[0] for one in planned if one.truth.is_planning]
    assert len(page.points) == sum(len(route) for route in routes)
    stops = [
        point
        for entry in manifest.maps
        for calls in json.loads((settings.out / entry.positions).read_text())["calls"]
        for point in calls.values()
    ]
    for points in page.points:
        way = [tuple(map(float, point.split(","))) for point in points.split()]
        assert len(way) >= 2
        for end in (way[0], way[-1]):
            assert any(math.dist(end, stop) < 2 for stop in stops)


@pytest.mark.parametrize("form", ["sharegpt", "vlmevalkit", "hub", "gallery"])
def test_the_command(prepared: tuple[Path, Manifest], form: str) -> None:
    folder, _ = prepared
    result = CliRunner().invoke(app, ["export", str(folder), form])
    assert result.exit_code == 0, result.output
    for line in result.output.split():
        assert Path(line).is_file()
        assert Path(line).is_relative_to(folder.with_name(f"out-{form}"))


def test_the_command_without_a_prepared_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path), "gallery"])
    assert result.exit_code == 2
    assert "rewardmap prepare" in result.output
