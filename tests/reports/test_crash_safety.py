"""A report, card or table whose writer is killed is the old one or the new one, complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rewardmap_verl.evaluation.results import write_table
from rewardmap_verl.evaluation.tables import Column, TableRow
from rewardmap_verl.preparation import atomic
from rewardmap_verl.reports.card import CardOptions, write_card
from rewardmap_verl.reports.report import MARK, write_report
from tests.kill_points import kill_points

COLUMNS = (Column("plus", "accuracy", "Plus"),)


@pytest.fixture
def run(run_folder: Path, tmp_path: Path) -> Path:
    """A run without rollouts, whose report is small."""
    run = Path(shutil.copytree(run_folder, tmp_path / "runs" / "run"))
    for name in ("rollouts", "validation"):
        shutil.rmtree(run / name)
    return run


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def is_complete(report: Path) -> bool:
    names = {path.name for path in report.rglob("*") if path.is_file()}
    return {"index.html", "report.js", "plotly.min.js", "index.js", "charts.js", MARK} <= names


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_replacing_a_report(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    output = tmp_path / "report"
    write_report([run], output)
    for _ in kill_points(lambda: write_report([run], output)):
        place = output if exchange or output.exists() else tmp_path / ".report.previous"
        assert is_complete(place)
    assert is_complete(output) and hidden(tmp_path) == []


def test_writing_a_card(run: Path, tmp_path: Path) -> None:
    model = tmp_path / "merged"
    model.mkdir()
    (model / "config.json").write_text("{}", "utf-8")
    old = write_card(run, model, CardOptions("mit", "old")).read_bytes()
    for _ in kill_points(lambda: write_card(run, model, CardOptions("mit", "new"))):
        assert (model / "README.md").read_bytes() == old
    assert b"# new" in (model / "README.md").read_bytes()
    assert hidden(model) == []


def test_writing_a_table(tmp_path: Path) -> None:
    def write(value: float) -> None:
        write_table(tmp_path / "out", "table", [TableRow("m", (value,))], COLUMNS)

    write(1.0)
    for _ in kill_points(lambda: write(2.0)):
        (row,) = json.loads((tmp_path / "out" / "table.json").read_text("utf-8"))
        assert row["Plus"] in (1.0, 2.0)
        assert (tmp_path / "out" / "table.tex").read_text("utf-8").endswith("\\end{tabular}\n")
    assert hidden(tmp_path / "out") == []
