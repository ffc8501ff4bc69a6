"""Prepared folders with originals: drawn maps with questions of all types, and maps of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rewardmap_verl.commands.main import app


@pytest.fixture(scope="session")
def rewardmap() -> Callable[..., Result]:
    """A function that runs a command."""

    def run(*words: object, fails: bool = False) -> Result:
        done = CliRunner().invoke(app, list(map(str, words)))
        assert (done.exit_code != 0) == fails, done.output
        return done

    return run


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory, rewardmap: Callable[..., Result]) -> Path:
    """Two maps that this package drew."""
    folder = tmp_path_factory.mktemp("drawn") / "data"
    maps = ("--seed", "1", "--train-maps", "1", "--test-maps", "1", "--size", "tiny")
    words = ("prepare", "synthetic", "--keep-originals", "--beyond-papers", "--out", folder)
    rewardmap(*words, *maps)
    return folder


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory, rewardmap: Callable[..., Result]) -> Path:
    """Two maps without positions, one wide and one high."""
    root = tmp_path_factory.mktemp("foreign")
    lines = {"Line 1": ["Alpha", "Beta", "Gamma", "Delta"], "Line 2": ["Beta", "Epsilon", "Zeta"]}
    for city, size in (("wide", (840, 560)), ("high", (560, 840))):
        for kind in ("stations", "maps"):
            (root / kind / "land").mkdir(parents=True, exist_ok=True)
        (root / f"stations/land/{city}.json").write_text(json.dumps(lines), encoding="utf-8")
        noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f"maps/land/{city}.png")
    words = ("prepare", "local", "--root", root, "--size", "tiny", "--keep-originals")
    rewardmap(*words, "--test-city", "high", "--out", root / "data")
    return root / "data"
