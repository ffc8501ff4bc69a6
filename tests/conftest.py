"""Fixtures that every test may use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.qwen_vocabulary", "tests.training_data"]

FOREIGN_VARIABLES = ("RAY_", "VERL_", "VLLM_", "HYDRA_", "SLURM_", "TORCHDYNAMO_", "ROCR_")
"""Prefixes of variables that change what verl, Ray, vLLM or Hydra do."""
OUTPUT_VARIABLES = ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables that change how tables are printed."""


def pytest_configure() -> None:
    """Keep the speed and the history of the machine out of the tests.

    Without ``RAY_ADDRESS=local``, ``ray.init`` joins the cluster that ``RAY_ADDRESS`` or a file of
    an earlier ``ray start`` names, even if it no longer exists.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN_VARIABLES) or name in OUTPUT_VARIABLES:
            del os.environ[name]
    os.environ["RAY_ADDRESS"] = "local"
    # A property that holds must not fail because the machine is busy.
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("untimed")


BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real networks, maps and golden cases; tests that need it skip without it.

    It is looked up beside the repository (``../shared/data``), or where the variable
    ``REWARDMAP_SHARED_DATA`` points.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("REWARDMAP_SHARED_DATA", default))
    if not (folder / "stations").is_dir():
        pytest.skip(f"no shared reference data at {folder}")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, headless; the tests that need it are skipped where it is not installed.

    Of a module and no longer: while it runs, its event loop is that of the tests' thread, and tests
    with loops of their own fail.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as engine:
        running = engine.chromium.launch(
            executable_path=program, args=BROWSER_OPTIONS, timeout=60_000
        )
        yield running
        running.close()
