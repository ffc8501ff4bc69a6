"""Preview of a curriculum."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console

from rewardmap_verl.curriculum.curriculum_plan import CurriculumPlan, plan_curriculum
from rewardmap_verl.curriculum.preview import draw_preview, preview, preview_table


@pytest.fixture
def plan(data_folder: Path, run_config: Callable[..., DictConfig]) -> CurriculumPlan:
    return plan_curriculum(run_config(data_folder).data)


def test_stages_with_their_steps_rows_and_mixture(plan: CurriculumPlan) -> None:
    stages = preview(plan)
    assert [(s.span.stage, s.span.first_step, s.span.last_step, s.span.rows) for s in stages] == [
        ("judgment", 1, 3, 9),
        ("counting", 4, 6, 11),
        ("choice", 7, 8, 7),
        ("planning", 9, 11, 9),
    ]
    assert all(abs(sum(stage.shares.values()) - 1) < 1e-9 for stage in stages)
    assert stages[2].shares == {"Counting1": 1.0} and stages[2].span.repeats == 1
    assert all(stage.passes == 1.0 for stage in stages)


def test_the_table_shows_durations(plan: CurriculumPlan) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(preview_table(preview(plan), seconds=600.0))
    text = console.export_text()
    assert "11 steps, 110 min" in text and "TorF2" in text and "…" not in text


def test_replayed_types_are_marked(
    data_folder: Path, run_config: Callable[..., DictConfig]
) -> None:
    config = run_config(data_folder, "data.curriculum.replay=0.25")
    stages = preview(plan_curriculum(config.data))
    assert not stages[0].replayed
    assert set(stages[1].replayed) == {"TorF1", "TorF2"}
    assert sum(stages[3].replayed.values()) == pytest.approx(0.25, abs=0.1)
    assert sum(stages[3].shares.values()) + sum(stages[3].replayed.values()) == pytest.approx(1)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(preview_table(stages))
    text = console.export_text()
    assert "+ TorF1" in text and "+: replayed from other stages" in text


def test_the_plot_is_written(plan: CurriculumPlan, tmp_path: Path) -> None:
    path = tmp_path / "new" / "curriculum.png"
    draw_preview(plan, path)
    with Image.open(path) as image:
        assert image.width > 1000


def test_the_command_composes_what_a_run_would(data_folder: Path) -> None:
    from typer.testing import CliRunner

    from rewardmap_verl.commands.curriculum import curriculum

    words = ["preview", f"data.folder={data_folder}", "data.train_batch_size=4"]
    result = CliRunner().invoke(curriculum, [*words, "data.curriculum.stages=coarse"])
    assert result.exit_code == 0, result.output
    assert "perception" in result.output
    bad = CliRunner().invoke(curriculum, [*words, "data.curriculum.stages=steep"])
    assert bad.exit_code == 2 and "known: staged" in bad.output
