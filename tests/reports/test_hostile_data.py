"""Prepared folders, runs and names that would like to run code in a page or a model card."""

from __future__ import annotations

import ast
import html
import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.evaluation.markdown import code_span, escape
from rewardmap_verl.evaluation.results import FORMAT
from rewardmap_verl.reports.card import CardOptions, render_card, write_card
from rewardmap_verl.reports.report import Report, write_report
from rewardmap_verl.reports.runs import read_run

pytestmark = pytest.mark.timeout(180)

SCRIPT = "document.title='taken'"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg'><script>{SCRIPT}</script></svg>"
IMAGES = [
    f"javascript:{SCRIPT}",
    "images/evil.svg",
    "images/evil.html",
    "images/evil.svg#.png",
    "images/a b.png",
    "images/%2e%2e.png",
]
NAMES = [
    "</script><script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "a | b\n# heading",
    "`code` ``` more",
    "<img src=x onerror=alert(1)>",
    '"); import os; os.system("id',
    "_x_ *y* ~~z~~ $a$",
]


@pytest.fixture
def hostile(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder with files that run scripts."""
    folder = Path(shutil.copytree(prepared, tmp_path / "hostile"))
    (folder / "images" / "evil.svg").write_text(SVG, "utf-8")
    (folder / "images" / "evil.html").write_text(f"<script>{SCRIPT}</script>", "utf-8")
    return folder


def set_image(folder: Path, image: str) -> None:
    """Give every map of a prepared folder another image."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for entry in manifest["maps"]:
        entry["image"] = image
    path.write_text(json.dumps(manifest), "utf-8")


def links(page: Any) -> list[str]:
    return [str(node.get_attribute("href")) for node in page.locator("a[href]").all()]


def opened(browser: Any, page: Path) -> Any:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    context.set_default_timeout(20_000)
    tab = context.new_page()
    tab.goto(f"file://{page.resolve()}", timeout=60_000)
    return tab


@pytest.mark.parametrize("image", IMAGES)
def test_a_report_links_to_raster_images_only(
    hostile: Path, simulated: ModuleType, tmp_path: Path, browser: Any, image: str
) -> None:
    run = simulated.simulate_run(hostile, tmp_path / "run", steps=1)
    set_image(hostile, image)
    done = write_report([run], tmp_path / "out")
    assert any("PNG, JPEG or WebP" in note for note in done.notes)
    assert not list((tmp_path / "out").rglob("*evil*"))
    page = opened(browser, done.page)
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    page.locator(".row").first.click()
    page.wait_for_selector("#answer pre")
    assert "does not contain the map" in page.inner_text("#detail")
    assert not [link for link in links(page) if re.search(r"javascript:|\.svg|\.html$", link)]
    page.context.close()


def test_a_link_to_a_script_gets_the_name_of_an_image(
    hostile: Path, simulated: ModuleType, tmp_path: Path, browser: Any
) -> None:
    run = simulated.simulate_run(hostile, tmp_path / "run", steps=1)
    (hostile / "images" / "fine.png").symlink_to("evil.svg")
    set_image(hostile, "images/fine.png")
    done = write_report([run], tmp_path / "out")
    assert {path.suffix for path in (tmp_path / "out" / "maps").iterdir()} <= {".png", ".webp"}
    page = opened(browser, done.page)
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    page.locator(".row").first.click()
    page.wait_for_selector("#answer pre")
    full = page.locator("#detail a[target=_blank]").first
    assert str(full.get_attribute("href")).endswith(".png")
    page.goto(f"file://{(done.page.parent / str(full.get_attribute('href'))).resolve()}")
    assert page.title() != "taken"
    page.context.close()


@pytest.mark.parametrize("image", IMAGES)
def test_a_gallery_of_hostile_images_is_refused(hostile: Path, tmp_path: Path, image: str) -> None:
    set_image(hostile, image)
    done = CliRunner().invoke(
        app, ["export", str(hostile), "gallery", "--out", str(tmp_path / "gallery")]
    )
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert not (tmp_path / "gallery" / "index.html").exists()


def test_a_gallery_has_a_content_security_policy(
    prepared: Path, tmp_path: Path, browser: Any
) -> None:
    out = tmp_path / "gallery"
    done = CliRunner().invoke(app, ["export", str(prepared), "gallery", "--out", str(out)])
    assert done.exit_code == 0, done.output
    page = opened(browser, out / "index.html")
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert "default-src 'none'" in policy and "unsafe-inline'; img" in policy
    tag = f'<img src=x onerror="{SCRIPT}">'
    page.evaluate("tag => document.body.insertAdjacentHTML('beforeend', tag)", tag)
    page.wait_for_timeout(200)
    assert page.title() != "taken", "an inline handler is blocked"
    assert all(re.fullmatch(r"#map-\d+|images/[0-9a-f-]+\.\w+", link) for link in links(page))
    page.context.close()


# Model cards


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_text_in_a_card(run_folder: Path, name: str) -> None:
    card = render_card(read_run(run_folder), Path(), CardOptions("mit", name, location=name))
    body = card.split("---\n", 2)[2]
    code = body.split("```python\n")[1].split("\n```")[0]
    call = next(node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    assert [one.value for one in call.args if isinstance(one, ast.Constant)] == [name]
    assert (
        sum(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(ast.parse(code)))
        == 1
    )
    prose = body.replace(code, "")
    assert not re.search(r"(?<!\\)<(script|img)|(?<!\\)\]\(javascript:", prose)
    assert len(re.findall(r"^# ", prose, re.M)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_escaped_names_are_shown_as_they_are(name: str) -> None:
    plain = " ".join(name.split("\n"))
    assert html.unescape(MarkdownIt().renderInline(escape(name))) == plain
    assert "\n" not in code_span(name)


def test_the_table_of_an_evaluation_is_escaped(run_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "merged"
    model.mkdir()
    (model / "config.json").write_text("{}", "utf-8")
    table = [["model", "Plus"], ["<script>alert(1)</script>", "[a](javascript:b)"]]
    results = {
        "rewardmap_results": FORMAT,
        "questions": {"name": "<script>alert(2)</script>"},
        "models": [{"metrics": []}],
        "table": table,
    }
    (tmp_path / "results.json").write_text(json.dumps(results), "utf-8")
    body = write_card(run_folder, model, CardOptions(evaluation=tmp_path)).read_text("utf-8")
    assert "\\<script\\>alert(1)" in body and "\\[a\\](javascript:b)" in body
    assert "alert(2)" not in body


def test_a_hostile_name_of_a_run_is_text_on_the_page(
    run_folder: Path, tmp_path: Path, browser: Any
) -> None:
    run = shutil.copytree(run_folder, tmp_path / f"<img src=x onerror={SCRIPT}>")
    done: Report = write_report([run], tmp_path / "out")
    page = opened(browser, done.page)
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    assert "onerror" in page.inner_text("h1") and page.locator("h1 img").count() == 0
    page.context.close()
