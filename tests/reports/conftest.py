"""A prepared folder, a run on it and its report, made once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.reports.report import Report, write_report


@pytest.fixture(scope="session")
def simulated() -> ModuleType:
    """The module that makes runs up."""
    path = Path(__file__).with_name("simulated_run.py")
    spec = importlib.util.spec_from_file_location("simulated_run", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few small maps with questions of every type."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    options = ["--train-maps", "3", "--test-maps", "1", "--size", "tiny"]
    done = CliRunner().invoke(app, ["prepare", "synthetic", "--out", str(folder), *options])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="session")
def run_folder(
    simulated: ModuleType, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run with dumps."""
    return simulated.simulate_run(prepared, tmp_path_factory.mktemp("runs") / "plain")


@pytest.fixture(scope="session")
def report(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of that run."""
    return write_report([run_folder], tmp_path_factory.mktemp("reports") / "one")
