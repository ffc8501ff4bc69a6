"""Trajectories that zoom, in the report and in ``rewardmap explain``."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.reports.report import Report, write_report
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.tool import call_text
from tests.reports.test_report_page import open_group, open_page  # noqa: F401

pytestmark = pytest.mark.timeout(180)

BOXES = (Box(0, 0, 500, 400), Box(300, 200, 900, 1000))
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"


def trajectory(answer: str) -> str:
    """A dump of two calls and an answer."""
    calls = [
        f"{HOSTILE} I look.\n{call_text(box)}\ntool\nBox {box.as_list()}. Calls left: {1 - place}."
        "\nassistant\n"
        for place, box in enumerate(BOXES)
    ]
    return "".join([*calls, answer])


def zooming(run: Path) -> Path:
    """Give every answer of a run two calls before it."""
    for path in run.rglob("*.jsonl"):
        if path.parent.name in ("rollouts", "validation"):
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            rows = [{**row, "output": trajectory(row["output"])} for row in rows]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return run


@pytest.fixture(scope="module", params=["originals", "prepared maps only"])
def zoomed(
    request: pytest.FixtureRequest, simulated: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """The report of a run that zooms, with and without originals."""
    folder = tmp_path_factory.mktemp("zoomed")
    keep = ["--keep-originals"] if request.param == "originals" else []
    words = ["--train-maps", "2", "--test-maps", "1", "--size", "tiny", *keep]
    done = CliRunner().invoke(app, ["prepare", "synthetic", "--out", str(folder / "data"), *words])
    assert done.exit_code == 0, done.output
    run = zooming(simulated.simulate_run(folder / "data", folder / "run", steps=2))
    return write_report([run], folder / "report")


def test_crops_are_shown_on_the_map_and_in_the_conversation(
    zoomed: Report,
    open_page: Any,  # noqa: F811
) -> None:
    opened = open_page(zoomed)
    page = opened.page
    page.evaluate("document.getElementById('more').open = true")
    page.select_option("#f-part", "train")  # validations are shown side by side
    open_group(page, "TorF1")
    assert page.locator("#map rect.box").count() == 2
    frame = page.locator("#map img").bounding_box()
    for place, box in enumerate(BOXES):
        shown = page.locator("#map rect.box").nth(place).bounding_box()
        assert shown["x"] - frame["x"] == pytest.approx(box.left / 1000 * frame["width"], abs=3)
        assert shown["height"] == pytest.approx(
            (box.bottom - box.top) / 1000 * frame["height"], abs=4
        )
    turns = page.locator("#answer .turns li")
    assert [turns.nth(n).locator("small").inner_text() for n in range(turns.count())] == [
        "model", "zoom", "model", "zoom", "model",
    ]  # fmt: skip
    crops = page.locator("#answer .crop")
    assert crops.count() == 2
    crops.nth(1).scroll_into_view_if_needed()
    sizes = [crops.nth(place).bounding_box() for place in (0, 1)]
    assert all(size["width"] > 20 and size["height"] > 20 for size in sizes)
    assert HOSTILE in page.inner_text("#answer"), "a model's text is text"
    assert page.title() != "taken"
    assert opened.faults == []


def test_crops_are_cut_from_the_original(zoomed: Report) -> None:
    crops = list((zoomed.page.parent / "maps").glob("*-300-200-900-1000.webp"))
    for crop in crops:
        width, height = Image.open(crop).size
        assert width * height >= 64 * 28**2, "larger than the whole prepared map"


def test_explain_prints_the_turns(simulated: ModuleType, prepared: Path, tmp_path: Path) -> None:
    run = zooming(simulated.simulate_run(prepared, tmp_path / "run", steps=1))
    words = ["explain", str(run / "rollouts" / "1.jsonl"), "--networks", str(prepared / "networks")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for text in ("Turn 1, model", "Turn 2, tool", "Box [0, 0, 500, 400]. Calls left: 1.", "Turn 5"):
        assert text in done.output
