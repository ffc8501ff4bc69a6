"""Answers in trackers, through verl's own loggers and as tables with maps, without a network."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.reports.runs import read_run
from rewardmap_verl.reports.tracker_tables import COLUMNS, log_answers

CODE = """
import sys
from verl.utils.tracking import Tracking, ValidationGenerationsLogger

names = sys.argv[1:]
tracking = Tracking("project", "run", names, config={"trainer": {"total_epochs": 1}})
tracking.log({"val-core/rewardmap/planning/acc/mean@1": 0.5}, step=3)
logger = ValidationGenerationsLogger(project_name="project", experiment_name="run")
logger.log(names, [["Which line?", "Line 1", 12.5], ["How many?", "3", 0.0]], 3)
tracking.finish()
"""


def log_with_verl(home: Path, *names: str) -> None:
    """Send a metric and two answers to trackers, with everything in ``home``."""
    folders = ("WANDB_DIR", "TENSORBOARD_DIR", "SWANLAB_LOG_DIR", "TRACKIO_DIR", "HF_HOME")
    paths = {name: str(home / name.lower()) for name in folders}
    for path in paths.values():
        Path(path).mkdir()
    offline = {"WANDB_MODE": "offline", "SWANLAB_MODE": "offline", "HF_HUB_OFFLINE": "1"}
    database = {"MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *names],
        cwd=home,
        env={**os.environ, **paths, **offline, **database, "VERL_PLATFORM": "cpu"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.opt_in
def test_answers_are_a_table_in_wandb_and_text_in_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    log_with_verl(tmp_path, "wandb", "tensorboard")
    (table,) = (tmp_path / "wandb_dir").rglob("*.table.json")
    (row,) = json.loads(table.read_text("utf-8"))["data"]
    assert row == [3, "Which line?", "Line 1", 12.5, "How many?", "3", 0.0]
    events = (tmp_path / "tensorboard_dir").rglob("events.out.*")
    assert any(b"Which line?" in path.read_bytes() for path in events)


@pytest.mark.opt_in
def test_metrics_and_answers_are_in_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    log_with_verl(tmp_path, "mlflow")
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        metrics = connection.execute("SELECT key, value, step FROM metrics").fetchall()
    assert metrics == [("val-core/rewardmap/planning/acc/mean_at_1", 0.5, 3)]
    (answers,) = tmp_path.rglob("val_step3.json")
    assert "Which line?" in answers.read_text("utf-8")


@pytest.mark.opt_in
def test_metrics_and_answers_are_in_swanlab(tmp_path: Path) -> None:
    pytest.importorskip("swanlab")
    log_with_verl(tmp_path, "swanlab")
    (run,) = (tmp_path / "swanlab_log_dir").rglob("*.swanlab")
    assert b"val-core/rewardmap/planning/acc" in run.read_bytes()


@pytest.mark.opt_in
def test_metrics_and_answers_are_in_trackio(tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    log_with_verl(tmp_path, "trackio")
    (database,) = (tmp_path / "trackio_dir").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = [json.loads(one) for (one,) in connection.execute("SELECT metrics FROM metrics")]
    assert any(row.get("val-core/rewardmap/planning/acc/mean@1") == 0.5 for row in rows)
    traces = (tmp_path / "trackio_dir").rglob("*generations*.jsonl")
    assert any("Which line?" in path.read_text("utf-8") for path in traces)


def run_track(run: Path, home: Path, tracker: str) -> str:
    """Run ``rewardmap track`` in a process of its own, with everything in ``home``."""
    folders = {
        name: str(home)
        for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "TRACKIO_DIR", "HF_HOME")
    }
    program = "from rewardmap_verl.commands.main import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", program, "track", str(run), "--tracker", tracker, "--limit", "2"],
        cwd=home,
        env={**os.environ, **folders, "WANDB_MODE": "offline", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_answers_with_maps_are_tables_in_wandb(
    run_folder: Path, prepared: Path, tmp_path: Path
) -> None:
    """wandb uploads tables with images, and the images, as artifacts."""
    pytest.importorskip("wandb")
    said = run_track(run_folder, tmp_path, "wandb")
    maps = {hashlib.sha256(path.read_bytes()).hexdigest() for path in prepared.rglob("*.png")}
    staged = [path.read_bytes() for path in (tmp_path / "artifacts" / "staging").iterdir()]
    tables = [json.loads(text) for text in staged if text.startswith(b'{"_type": "table"')]
    logged = list(tmp_path.rglob("*.table.json"))
    assert tables and f"{len(logged)} tables" in said
    for table in tables:
        assert table["columns"] == list(COLUMNS)
        for image, kind, question, answer, reward in table["data"]:
            assert image["_type"] == "image-file" and image["sha256"] in maps
            assert kind and question and isinstance(answer, str) and reward >= 0


def test_answers_with_maps_are_tables_in_trackio(run_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    said = run_track(run_folder, tmp_path, "trackio")
    (database,) = tmp_path.rglob("*.db")
    with sqlite3.connect(database) as connection:
        rows = [json.loads(one) for (one,) in connection.execute("SELECT metrics FROM metrics")]
    tables = [value for row in rows for value in row.values() if "_value" in value]
    assert f"{len(tables)} tables" in said
    for table in tables:
        for row in table["_value"]:
            assert set(row) == set(COLUMNS)
            (file,) = tmp_path.rglob(Path(row["map"]["file_path"]).name)
            assert file.read_bytes()[:4] == b"\x89PNG"


def test_a_tracker_that_is_not_installed_is_named(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ConfigError, match="uv pip install trackio"):
        log_answers(read_run(run_folder), "trackio", 1)
