"""Output of libraries goes to a log file, not to the terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rewardmap_verl.launch.quiet import quiet_output

CHILD = [sys.executable, "-S", "-c", "import sys; print('child'); print('fault', file=sys.stderr)"]


def noise() -> None:
    """Print as libraries do, in Python and in a child process."""
    print("python")
    print("warning", file=sys.stderr)
    subprocess.run(CHILD, check=True)


def test_only_the_console_reaches_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "new" / "log"
    with quiet_output(log) as console:
        noise()
        console.print("result")
    print("afterwards")
    assert capfd.readouterr() == ("result\nafterwards\n", "")
    for text in ("python", "warning", "child", "fault"):
        assert text in log.read_text()


@pytest.mark.parametrize("name", ["log", None])
def test_a_failure_shows_the_last_lines_of_its_own_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str | None
) -> None:
    log = tmp_path / name if name else None
    if log:
        log.write_text("earlier\n")
    with pytest.raises(ValueError, match="broken"), quiet_output(log):
        print("\n".join(f"line {number}" for number in range(40)))
        raise ValueError("broken")
    shown = capfd.readouterr().err.splitlines()
    assert shown[0] == f"Last lines of {log or 'the output'}:"
    assert shown[1:] == [f"  line {number}" for number in range(25, 40)]


def test_verbose_shows_everything(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_output(tmp_path / "log", verbose=True):
        noise()
    shown = capfd.readouterr()
    assert "python\nchild\n" in shown.out and "fault" in shown.err
    assert not (tmp_path / "log").exists()
