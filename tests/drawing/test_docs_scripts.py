"""The scripts that make the pictures of the documentation write only where they are told to."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPTS = sorted(
    path for path in DOCS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")
)


def pictures() -> dict[str, str]:
    files = sorted((DOCS / "images").iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run(script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_and_missing_arguments_write_nothing(script: Path) -> None:
    before = pictures()
    assert "usage:" in run(script, "--help").stdout
    assert run(script).returncode == 2
    assert pictures() == before


def test_the_samples_are_written_to_the_named_file(tmp_path: Path) -> None:
    before = pictures()
    done = run(DOCS / "samples.py", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    images = [Image.open(folder / "map.png").convert("L") for folder in (tmp_path, DOCS / "images")]
    assert images[0].size == images[1].size
    assert ImageStat.Stat(ImageChops.difference(*images)).mean[0] < 0.5, "the page's picture is old"
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert done.stdout.splitlines() and all(row in readme for row in done.stdout.splitlines())
    assert pictures() == before


def test_a_recording_is_what_the_commands_print(tmp_path: Path) -> None:
    name = tmp_path / "recording"
    done = run(DOCS / "record_terminal.py", name, "echo one; echo two >&2", "seq 100")
    assert done.returncode == 0, done.stdout + done.stderr
    header, *events = map(json.loads, name.with_suffix(".cast").read_text("utf-8").splitlines())
    assert header["version"] == 2
    printed = [text.rstrip() for _, _, text in events]
    assert printed[:4] == ["$ echo one; echo two >&2", "one", "two", "$ seq 100"]
    assert printed[4:] == [str(number) for number in range(1, 101)]
    svg = name.with_suffix(".svg").read_text("utf-8")
    assert "more&#160;lines" in svg and "@font-face" not in svg


def test_a_recording_of_a_failure_is_not_written(tmp_path: Path) -> None:
    done = run(DOCS / "record_terminal.py", tmp_path / "x", "echo why; exit 3")
    assert done.returncode == 1 and "why" in done.stdout and "exit code 3" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["first-run.cast", "first-run.svg"])
def test_the_recording_names_no_place_of_its_machine(name: str) -> None:
    text = (DOCS / "images" / name).read_text("utf-8")
    assert re.findall(r"file://\S*|/(?:home|mnt|opt|root|srv|tmp|work)/\S*", text) == []
