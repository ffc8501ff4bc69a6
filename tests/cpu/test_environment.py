"""The environment of a CPU run is complete, inert elsewhere, and respects the user's values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rewardmap_verl.cpu import environment
from rewardmap_verl.cpu.environment import cpu_environment, cpu_is_selected


@pytest.mark.parametrize("value", ["cpu", "CPU", " cpu "])
def test_the_platform_is_read_as_by_verl(value: str) -> None:
    assert cpu_is_selected({"VERL_PLATFORM": value})


@pytest.mark.parametrize("environ", [{}, {"VERL_PLATFORM": "nvidia"}, {"VERL_PLATFORM": ""}])
def test_other_platforms_are_left_alone(environ: dict[str, str]) -> None:
    assert not cpu_is_selected(environ)


def test_the_users_values_take_precedence() -> None:
    completed = cpu_environment({"OMP_NUM_THREADS": "4", "VERL_PLATFORM": "cpu"})
    assert "OMP_NUM_THREADS" not in completed
    assert "VERL_PLATFORM" not in completed
    assert completed["VERL_ENGINE_DEVICE"] == "cuda"


def test_bytecode_goes_to_a_separate_folder_if_forbidden_next_to_the_sources() -> None:
    completed = cpu_environment({"PYTHONDONTWRITEBYTECODE": "1"})
    assert completed["PYTHONDONTWRITEBYTECODE"] == ""
    assert completed["PYTHONPYCACHEPREFIX"] == str(environment.bytecode_folder())


def test_the_users_bytecode_folder_takes_precedence() -> None:
    completed = cpu_environment({"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": "/here"})
    assert "PYTHONPYCACHEPREFIX" not in completed


def test_bytecode_is_not_redirected_without_need() -> None:
    assert "PYTHONPYCACHEPREFIX" not in cpu_environment({})


def test_children_compile_once(tmp_path: Path) -> None:
    """A child of a process that called ``set_defaults`` writes bytecode, outside the sources."""
    (tmp_path / "module_to_compile.py").write_text("ANSWER = 42\n")
    child = "import sys, module_to_compile; print(sys.pycache_prefix, module_to_compile.__cached__)"
    parent = (
        "import subprocess, sys\n"
        "from rewardmap_verl.cpu.environment import set_defaults\n"
        "set_defaults()\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)\n"
    )
    environ = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "TMPDIR": str(tmp_path),
    }
    environ.pop("PYTHONPYCACHEPREFIX", None)
    result = subprocess.run(
        [sys.executable, "-c", parent], env=environ, capture_output=True, text=True, check=True
    )
    prefix, cached = result.stdout.split()
    assert Path(prefix).parent == tmp_path
    assert Path(cached).is_file()
    assert not (tmp_path / "__pycache__").exists()
