"""Validation answers in wandb and TensorBoard, through verl's own loggers and without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from verl.utils.tracking import Tracking, ValidationGenerationsLogger

names = ["wandb", "tensorboard"]
tracking = Tracking("project", "run", names, config={"trainer": {"total_epochs": 1}})
tracking.log({"val-core/rewardmap/planning/acc/mean@1": 0.5}, step=3)
logger = ValidationGenerationsLogger(project_name="project", experiment_name="run")
logger.log(names, [["Which line?", "Line 1", 12.5], ["How many?", "3", 0.0]], 3)
tracking.finish()
"""


@pytest.mark.opt_in
def test_answers_are_a_table_in_wandb_and_text_in_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    paths = {name: str(tmp_path / name.lower()) for name in ("WANDB_DIR", "TENSORBOARD_DIR")}
    for path in paths.values():
        Path(path).mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env={**os.environ, **paths, "WANDB_MODE": "offline", "VERL_PLATFORM": "cpu"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = (tmp_path / "wandb_dir").rglob("*.table.json")
    (row,) = json.loads(table.read_text("utf-8"))["data"]
    assert row == [3, "Which line?", "Line 1", 12.5, "How many?", "3", 0.0]
    (events,) = (tmp_path / "tensorboard_dir").rglob("events.out.*")
    assert b"Which line?" in events.read_bytes()
