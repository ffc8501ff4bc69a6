"""A folder of runs as a list, with links to their reports."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.report import write_report
from rewardmap_verl.reports.run_list import find_runs, write_run_list

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def runs(run_folder: Path, tmp_path: Path) -> Path:
    """Three runs: one with a report, one without, one with a damaged record."""
    folder = tmp_path / "runs"
    for name in ("first", "second & <b>", "damaged"):
        run = Path(shutil.copytree(run_folder, folder / name))
        shutil.rmtree(run / "rollouts")
    record = folder / "damaged" / "rewardmap_record.jsonl"
    record.write_text('{"part": "train"}\n', "utf-8")
    write_report([folder / "first"], folder / "first" / "report")
    return folder


def test_a_folder_of_runs_is_listed(runs: Path, browser: Any) -> None:
    done = CliRunner().invoke(app, ["report", str(runs)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(runs / "report" / "index.html")
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(f"file://{runs / 'report' / 'index.html'}", timeout=60_000)
    rows = [row.inner_text() for row in page.locator("tbody tr").all()]
    assert len(rows) == 3
    assert "rewardmap_record.jsonl" in rows[0] and rows[1].split()[:2] == ["first", "6"]
    assert "second & <b>" in rows[2] and page.locator("tbody b").count() == 0
    assert f"rewardmap report {runs}/second" in page.inner_text("main")
    page.locator("tbody a").click()
    page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
    assert page.inner_text("h1") == "first"
    context.close()


def test_the_list_replaces_itself_and_no_other_folder(runs: Path) -> None:
    found = find_runs(runs)
    assert [path.name for path in found] == ["damaged", "first", "second & <b>"]
    for _ in range(2):
        write_run_list(runs, found, runs / "report")
    with pytest.raises(DataError, match=r"has no runs\.json"):
        write_run_list(runs, found, runs / "first" / "report")


def test_checkpoints_belong_to_their_run(run_folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(run_folder, tmp_path / name / "checkpoints")
    assert find_runs(tmp_path) == [tmp_path / "a", tmp_path / "b"]
