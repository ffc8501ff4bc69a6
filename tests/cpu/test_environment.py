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


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_bytecode_goes_to_a_separate_folder_if_forbidden_next_to_the_sources(cache: Path) -> None:
    completed = cpu_environment({"PYTHONDONTWRITEBYTECODE": "1"})
    assert completed["PYTHONDONTWRITEBYTECODE"] == ""
    assert completed["PYTHONPYCACHEPREFIX"] == str(environment.bytecode_folder())
    assert environment.bytecode_folder().is_relative_to(cache)
    assert environment.bytecode_folder().stat().st_mode & 0o777 == 0o700


def test_a_bytecode_folder_that_others_could_write_becomes_private(cache: Path) -> None:
    folder = environment.bytecode_folder()
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert environment.make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "another user's"])
def test_a_bytecode_folder_that_is_not_ours_is_not_used(
    kind: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = environment.bytecode_folder()
    folder.parent.mkdir(parents=True)
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        folder.touch()
    else:
        monkeypatch.setattr(environment.os, "getuid", lambda: folder.parent.stat().st_uid + 1)
    completed = cpu_environment({"PYTHONDONTWRITEBYTECODE": "1"})
    assert not {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"} & completed.keys()


def test_without_a_cache_folder_the_home_folder_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert environment.bytecode_folder() == Path.home() / ".cache/rewardmap-verl/bytecode"


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
        "XDG_CACHE_HOME": str(tmp_path),
    }
    environ.pop("PYTHONPYCACHEPREFIX", None)
    result = subprocess.run(
        [sys.executable, "-c", parent], env=environ, capture_output=True, text=True, check=True
    )
    prefix, cached = result.stdout.split()
    assert Path(prefix).is_relative_to(tmp_path)
    assert Path(cached).is_file()
    assert not (tmp_path / "__pycache__").exists()
