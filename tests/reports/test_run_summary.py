"""The table at the end of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RECORD_NAME, RecordWriter
from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.run_summary import find_record, summary_of, summary_table


def make_group(
    stage: str, kind: str, row: int, scores: tuple[float, ...], repeat: bool = False
) -> Group:
    acc = tuple(float(score > 5) for score in scores)
    return Group(stage, kind, row, row, 0, repeat, {"score": scores, "acc": acc})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two stages of one step and two steps, with a validation before and after."""
    writer = RecordWriter(tmp_path / "run" / RECORD_NAME)
    writer.write("val", 0, [make_group("validation", "TorF1", 0, (0.0,))])
    writer.write("val", 0, [make_group("validation", "planning", 1, (0.0,))])
    writer.write("train", 1, [make_group("judgment", "TorF1", 0, (0.0, 11.0))])
    writer.write("train", 2, [make_group("planning", "planning", 1, (1.0, 2.0))])
    writer.write(
        "train",
        3,
        [
            make_group("planning", "planning", 2, (3.0, 3.0)),
            make_group("planning", "planning", 3, (99.0, 99.0), repeat=True),
        ],
    )
    writer.write("val", 3, [make_group("validation", "TorF1", 0, (11.0,))])
    writer.write("val", 3, [make_group("validation", "planning", 1, (1.0,))])
    return tmp_path / "run"


def test_stages_and_types_with_their_steps(run: Path) -> None:
    summary = summary_of(run)
    assert summary.steps == 3 and summary.step_seconds is not None
    assert [(line.stage, line.kind, line.steps) for line in summary.stages] == [
        ("judgment", "TorF1", 1),
        ("planning", "planning", 2),
    ]
    planning = summary.stages[1].metrics
    assert planning["score"] == 2.25 and planning["no_signal"] == 0.5
    assert planning["no_signal_binary"] == 1.0


def test_validation_before_and_after(run: Path) -> None:
    lines = {line.kind: line for line in summary_of(run).validation}
    assert lines["TorF1"].before["acc"] == 0.0 and lines["TorF1"].after["acc"] == 1.0
    assert lines["all"].after["acc"] == 0.5 and lines["all"].after["groups"] == 2
    assert (lines["all"].first_step, lines["all"].last_step) == (0, 3)


def test_the_table_shows_them(run: Path) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(summary_of(run)))
    text = console.export_text()
    assert "…" not in text.replace("…if", ""), "nothing is cut off on a narrow terminal"
    for word in ("judgment", "planning", "Training: 3 steps", "after 0 and after 3 steps"):
        assert word in text


def test_the_record_is_found_below_the_folder(run: Path) -> None:
    assert find_record(run.parent) == run / RECORD_NAME


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=RECORD_NAME):
        find_record(tmp_path)


def test_two_runs_are_not_mixed(run: Path, tmp_path: Path) -> None:
    RecordWriter(tmp_path / "other" / RECORD_NAME).write("train", 1, [])
    with pytest.raises(DataError, match="one run"):
        find_record(tmp_path)


def test_the_command_reports_a_missing_run(tmp_path: Path) -> None:
    import typer
    from typer.testing import CliRunner

    from rewardmap_verl.commands.summary import summary

    app = typer.Typer()
    app.command()(summary)
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert result.exit_code == 2 and RECORD_NAME in result.output


def test_a_single_validation_is_shown_once(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / RECORD_NAME)
    writer.write("train", 1, [make_group("judgment", "TorF1", 0, (0.0, 11.0))])
    writer.write("val", 1, [make_group("validation", "TorF1", 0, (11.0,))])
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(summary_of(tmp_path)))
    text = console.export_text()
    assert "held-out maps: after 1 steps" in text and "change" not in text


def test_a_run_that_fell_back_shows_its_visits(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / RECORD_NAME)
    for step, stage in enumerate(["judgment", "planning", "planning", "judgment"], 1):
        writer.write("train", step, [make_group(stage, "TorF1", step, (0.0,))])
    summary = summary_of(tmp_path)
    assert summary.visits == (("judgment", 1, 1), ("planning", 2, 3), ("judgment", 4, 4))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(summary_table(summary))
    assert "judgment 1-1 → planning 2-3 → judgment 4-4" in console.export_text()
