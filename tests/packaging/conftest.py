"""A wheel of this repository and an environment that has it installed, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT_FROM = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "rewardmap_verl", "recipes")


@dataclass(frozen=True)
class Environment:
    """An interpreter in which the wheel is installed, as a user's would be."""

    python: Path
    site: Path
    elsewhere: Path  # an empty folder to start programs in

    def run(
        self, *arguments: str, timeout: float = 240, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Start the interpreter in an empty folder and wait for it."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.elsewhere,
            env=quick_environment(variables),
            timeout=timeout,
            capture_output=True,
            text=True,
        )


def quick_environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program under test.

    Compiled modules are kept where this user keeps them for CPU runs, since importing verl from
    source takes three times as long. Ray may not start: nothing here should get that far.
    """
    from rewardmap_verl.cpu.environment import bytecode_folder

    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VERL_PLATFORM")
    }
    fixed = {"PYTHONPYCACHEPREFIX": str(bytecode_folder()), "RAY_ADDRESS": "127.0.0.1:1"}
    return {**inherited, **fixed, **more}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the repository stays as it is."""
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM:
        path = REPOSITORY / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    out = tmp_path_factory.mktemp("wheel")
    build = f"import setuptools.build_meta as build; build.build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def installed_wheel(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A new environment with the wheel; what it depends on is borrowed from this one.

    A path file makes the packages of this environment importable there. Path files found on the
    way are not read, so the editable installation of this repository stays out of sight.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    borrowed = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return Environment(folder / "bin" / "python", site, tmp_path_factory.mktemp("elsewhere"))
