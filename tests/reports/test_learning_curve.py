"""Held-out accuracy of each type over a run: the data, the picture, the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.curriculum.groups import DIRECT, WITH_TRANSFERS, Group
from rewardmap_verl.curriculum.record import Entry
from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.held_out import held_out
from rewardmap_verl.reports.learning_curve import draw_learning_curves, learning_curves, visits


def question(row: int, kind: str, right: float, stage: str = "validation") -> Group:
    transfers = row % 2 if kind == "planning" else None
    scores = {"acc": (right,)}
    return Group(stage, kind, row, row, 0, False, scores, place=f"{row % 10}", transfers=transfers)


def validation(step: int, planning: float) -> Entry:
    """Direct trips are right from step 2 on, trips with a transfer with some probability."""
    groups = [question(row, "TorF1", 1.0) for row in range(20)]
    for row in range(20, 40):
        right = float(step >= 2) if row % 2 == 0 else float(row < 20 + 20 * planning)
        groups.append(question(row, "planning", right))
    return Entry("val", step, float(step), tuple(groups))


def train(step: int, stage: str, kind: str) -> Entry:
    replayed = Group(stage, "TorF1", 1, 1, 0, False, {"acc": (1.0,)}, replay=True)
    return Entry("train", step, float(step), (question(0, kind, 1.0, stage), replayed))


@pytest.fixture
def entries() -> list[Entry]:
    return [
        validation(0, 0.0),
        train(1, "judgment", "TorF1"),
        train(2, "planning", "planning"),
        validation(2, 0.1),
        train(3, "planning", "planning"),
        validation(3, 0.5),
    ]


def test_curves_by_type_and_planning_by_transfers(entries: list[Entry]) -> None:
    curves = {
        curve.name: curve for curve in learning_curves(entries, dict.fromkeys(range(40), 0.5))
    }
    assert list(curves) == ["TorF1", "planning", DIRECT, WITH_TRANSFERS, "all"]
    direct = [(step, found.mean) for step, found in curves[DIRECT].points]
    assert direct == [(0, 0.0), (2, 1.0), (3, 1.0)]
    assert [found.mean for _, found in curves[WITH_TRANSFERS].points] == [0.0, 0.1, 0.5]
    low, high = curves[WITH_TRANSFERS].points[-1][1].low, curves[WITH_TRANSFERS].points[-1][1].high
    assert low < 0.5 < high
    assert curves["TorF1"].stages == {"judgment"}, "replay is not a stage of its own"
    assert curves["planning"].majority == 0.5
    assert learning_curves(entries)[0].majority is None
    assert visits(entries) == [("judgment", 1, 1), ("planning", 2, 3)]


def test_before_and_after_have_planning_by_transfers(entries: list[Entry]) -> None:
    lines = {line.kind: line for line in held_out(entries)}
    assert list(lines) == ["TorF1", "planning", DIRECT, WITH_TRANSFERS, "all"]
    transfers = lines[WITH_TRANSFERS]
    assert transfers.questions == 10 and transfers.before is not None
    assert (transfers.before.mean, transfers.after.mean) == (0.0, 0.5)
    assert transfers.change is not None and transfers.change.low > 0


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_wide_and_on_white(
    entries: list[Entry], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / "new" / f"curve{suffix}"
    draw_learning_curves(learning_curves(entries), visits(entries), path)
    if suffix == ".png":
        with Image.open(path) as image:
            assert image.width == 1800 and image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    else:
        assert path.read_text("utf-8").count("<svg") == 1


def test_a_name_is_no_formula(tmp_path: Path) -> None:
    groups = (question(0, r"$\frac{$", 1.0),)
    entries = [Entry("val", step, float(step), groups) for step in (0, 4)]
    stages = [(r"$\sqrt$", 1, 4)]
    curves = learning_curves(entries)
    draw_learning_curves(curves, stages, tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").stat().st_size > 1000


def test_a_run_without_two_validations_has_no_curve(entries: list[Entry], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fewer than two validations"):
        draw_learning_curves(learning_curves(entries[:3]), visits(entries), tmp_path / "curve.svg")
    with pytest.raises(DataError, match=r"\.gif"):
        draw_learning_curves(learning_curves(entries), visits(entries), tmp_path / "curve.gif")


def test_the_command_writes_the_picture_of_a_run(run_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "curve.svg"
    result = CliRunner().invoke(app, ["report", str(run_folder), "--curve", str(path)])
    assert result.exit_code == 0, result.output
    assert path.is_file() and str(path) in result.output
