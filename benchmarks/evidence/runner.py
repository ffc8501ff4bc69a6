"""Runs what a study lacks, one run after the other; what is finished is not run again."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

import psutil  # type: ignore[import-untyped]

from benchmarks.evidence.baselines import write_scale
from benchmarks.evidence.collect import collect, is_finished, read_held_out
from benchmarks.evidence.result import Result, load_result
from benchmarks.evidence.setup import make_data, make_models
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.subprocesses import interruptible, run_child, side_by_side
from rewardmap_verl.curriculum.record import RECORD_NAME
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes
from rewardmap_verl.preparation.manifest import read_manifest

__all__ = ["Watcher", "jobs_of_machine", "run_study"]

_BYTES_OF_A_RUN = 8 * 2**30
_STARTED = "evidence_started.json"


class Watcher(Interface):
    """Is told what happens."""

    def say(self, text: str) -> None:
        """What is done now, beside runs."""

    def begin(self, trial: Trial, steps: int) -> None:
        """A run begins."""

    def step(self, trial: Trial, step: int) -> None:
        """A run has come so far."""

    def end(self, trial: Trial, result: Result, ran: bool) -> None:
        """A run has a result; ``ran`` says whether it was run now."""


def run_study(
    study: Study, trials: Sequence[Trial], watcher: Watcher, jobs: int = 1
) -> list[Result]:
    """Give every run a result.

    Args:
        study: Protocol, budget and folders.
        trials: The runs.
        watcher: Is told what happens.
        jobs: Runs at a time. One run keeps little more than one core busy.

    Returns:
        The results, in the order of the runs.

    Raises:
        ConfigError: A result in the place is of other settings, a program failed, or another
            process works in the same folder.
        DataError: What a run wrote cannot be read.
        KeyboardInterrupt: The user ended it; so was what it had started.
    """
    with interruptible(), _alone(study.work):
        # Found out before anything is made: results of another protocol, broken files
        for trial in trials:
            load_result(study, trial, _prepared(study))
        data = make_data(study, watcher.say)
        stop = threading.Event()
        make_models(study, trials, watcher.say, jobs, stop)
        write_scale(study, data)
        beside = _Beside(stop)
        tasks = [partial(_result, study, trial, data, watcher, beside) for trial in trials]
        return side_by_side(jobs, stop, tasks)


@dataclass(frozen=True)
class _Beside:
    """What runs that are under way at a time have in common."""

    stop: threading.Event
    collecting: threading.Lock = field(default_factory=threading.Lock)
    """One at a time: Hydra composes one configuration in a process."""


def jobs_of_machine() -> int:
    """How many runs a machine bears at a time: a core and some memory each."""
    memory = int(psutil.virtual_memory().available // _BYTES_OF_A_RUN)
    return max(1, min(os.cpu_count() or 1, memory))


def _prepared(study: Study) -> str | None:
    """Fingerprint of the prepared folder; ``None`` while there is none."""
    try:
        return read_manifest(study.data).fingerprint
    except DataError:
        return None


def _result(study: Study, trial: Trial, data: str, watcher: Watcher, beside: _Beside) -> Result:
    found = load_result(study, trial, data)
    if found is not None:
        watcher.end(trial, found, ran=False)
        return found
    questions = len(read_held_out(study).map.items)
    folder = study.run_folder(trial)
    if not (_fits(study, trial, data) and is_finished(study, trial, questions)):
        _run(study, trial, data, watcher, beside.stop)
    if not is_finished(study, trial, questions):
        hint = f"It ended early; see {folder / 'log.txt'}."
        raise DataError(folder, found="a run that is not whole", hint=hint)
    note = _note(folder)
    with beside.collecting:
        result = collect(study, trial, data, note["started"], note["seconds"])
    result.write(study.result(trial))
    watcher.end(trial, result, ran=True)
    return result


def _run(study: Study, trial: Trial, data: str, watcher: Watcher, stop: threading.Event) -> None:
    """Run from the beginning: a run takes minutes, and half of one is in nobody's way."""
    folder = study.run_folder(trial)
    remove_folder(folder)
    folder.mkdir(parents=True)
    note = {"settings": study.settings(trial, data), "started": time.time()}
    watcher.begin(trial, study.budget.steps)
    seconds = run_child(
        [sys.executable, "-m", "verl.trainer.main_ppo", *study.overrides(trial)],
        folder / "log.txt",
        60 * study.protocol.limits.run,
        {"VERL_PLATFORM": "cpu", "RAY_ADDRESS": "local"},
        lambda: watcher.step(trial, _steps(folder / RECORD_NAME)),
        stop,
    )
    _write_note(folder, {**note, "seconds": round(seconds, 1)})


def _write_note(folder: Path, note: dict[str, object]) -> None:
    write_bytes(folder / _STARTED, json.dumps(note, ensure_ascii=False).encode())


def _note(folder: Path) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((folder / _STARTED).read_text(encoding="utf-8"))
    return note


def _fits(study: Study, trial: Trial, data: str) -> bool:
    """Whether a run of these settings has ended in the folder."""
    try:
        return bool(_note(study.run_folder(trial))["settings"] == study.settings(trial, data))
    except (OSError, ValueError, KeyError):
        return False


def _steps(record: Path) -> int:
    """Training steps that a record holds, cheaply."""
    try:
        with record.open("rb") as file:
            return sum(line.startswith(b'{"part": "train"') for line in file)
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    """One process at a time; the system lets go when it ends."""
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "Another `rewardmap evidence run` works there. Wait, or give another --work."
            raise ConfigError(work, hint=hint) from None
        yield
    finally:
        os.close(handle)
