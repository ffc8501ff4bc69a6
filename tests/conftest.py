"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


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
