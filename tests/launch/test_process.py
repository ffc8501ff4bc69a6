"""Programs that run with their output in a file."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from rewardmap_verl.launch.process import run_program

FRIENDLY = "import time; print('ready', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time\n"
    "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
    f"{FRIENDLY}"
)


def run(code: str, log: Path, **options: object) -> int:
    command = (sys.executable, "-c", code)
    return run_program(command, log, {"SEEN": "here"}, lambda: None, **options)  # type: ignore[arg-type]


def run_and_signal(code: str, log: Path, number: int, grace: Sequence[float]) -> int:
    """Run a program, and send a signal to this process as soon as the program is ready."""
    sent: list[int] = []

    def watch() -> None:
        if "ready" in log.read_text().splitlines() and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    stopping = threading.Event()
    command = (sys.executable, "-c", code)
    code_of_end = run_program(command, log, {}, watch, stopping.set, grace)
    assert stopping.is_set()
    return code_of_end


def test_output_variables_and_exit_code_pass_through(tmp_path: Path) -> None:
    log = tmp_path / "new" / "log"
    code = "import os, sys; print(os.environ['SEEN']); sys.stderr.write('bad\\n'); sys.exit(7)"
    assert run(code, log) == 7
    assert log.read_text().splitlines()[-2:] == ["here", "bad"]
    assert run("print('again')", log) == 0
    assert log.read_text().count("$ ") == 2, "attempts follow each other in one file"


def test_death_by_a_signal_has_the_code_of_a_shell(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert run(code, tmp_path / "log") == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_program(number: int, tmp_path: Path) -> None:
    before = signal.getsignal(number)
    assert run_and_signal(FRIENDLY, tmp_path / "log", number, (30.0, 30.0)) == 128 + number
    assert signal.getsignal(number) is before


def test_a_program_that_ignores_signals_is_killed(tmp_path: Path) -> None:
    code = run_and_signal(STUBBORN, tmp_path / "log", signal.SIGINT, (0.1, 0.1))
    assert code == 128 + signal.SIGINT
