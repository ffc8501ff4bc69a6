"""Run a study: make data and models, then every run that has no result yet."""

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
from benchmarks.evidence.maps import content_digest
from benchmarks.evidence.result import Result, load_result
from benchmarks.evidence.setup import make_data, make_models
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.subprocesses import interruptible, run_parallel, run_subprocess
from rewardmap_verl.curriculum.record import RECORD_NAME
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes

__all__ = ["Listener", "default_jobs", "run_study"]

_BYTES_OF_A_RUN = 8 * 2**30
_STARTED = "evidence_started.json"


class Listener(Interface):
    """Receives the progress of a study."""

    def log(self, text: str) -> None:
        """Report preparation work."""

    def run_started(self, trial: Trial, steps: int) -> None:
        """Report the start of a run."""

    def step_finished(self, trial: Trial, step: int) -> None:
        """Report the last finished step of a run."""

    def run_finished(self, trial: Trial, result: Result, ran: bool) -> None:
        """Report a result; ``ran`` is false if it existed before."""


def run_study(
    study: Study, trials: Sequence[Trial], listener: Listener, jobs: int = 1
) -> list[Result]:
    """Run every trial that has no result yet.

    Args:
        study: Protocol, budget and folders.
        trials: The runs.
        listener: Receives progress.
        jobs: Runs in parallel. One run uses little more than one core.

    Returns:
        The results, in the order of the runs.

    Raises:
        ConfigError: An existing result has other settings, a program failed, or another process
            uses the same folder.
        DataError: The output of a run cannot be read.
        KeyboardInterrupt: The user interrupted the study; its subprocesses have been terminated.
    """
    with interruptible(), _locked(study.work):
        # Fail before any work if a result is unreadable or of another protocol.
        for trial in trials:
            load_result(study, trial, _prepared(study))
        data = make_data(study, listener.log)
        stop = threading.Event()
        make_models(study, trials, listener.log, jobs, stop)
        write_scale(study, data)
        shared = _Shared(stop)
        tasks = [partial(_result, study, trial, data, listener, shared) for trial in trials]
        return run_parallel(jobs, stop, tasks)


@dataclass(frozen=True)
class _Shared:
    """State shared by parallel runs."""

    stop: threading.Event
    collecting: threading.Lock = field(default_factory=threading.Lock)
    """Hydra composes one configuration per process at a time."""


def default_jobs() -> int:
    """Return the number of parallel runs for this machine: one core and 8 GiB each."""
    memory = int(psutil.virtual_memory().available // _BYTES_OF_A_RUN)
    return max(1, min(os.cpu_count() or 1, memory))


def _prepared(study: Study) -> str | None:
    """Return the hash of the prepared folder's content; ``None`` if there is none."""
    try:
        return content_digest(study.data)
    except DataError:
        return None


def _result(study: Study, trial: Trial, data: str, listener: Listener, shared: _Shared) -> Result:
    found = load_result(study, trial, data)
    if found is not None:
        listener.run_finished(trial, found, ran=False)
        return found
    questions = len(read_held_out(study).map.items)
    folder = study.run_folder(trial)
    if not (_settings_match(study, trial, data) and is_finished(study, trial, questions)):
        _run(study, trial, data, listener, shared.stop)
    if not is_finished(study, trial, questions):
        hint = f"The run ended early; see {folder / 'log.txt'}."
        raise DataError(folder, found="an incomplete run", hint=hint)
    note = _note(folder)
    with shared.collecting:
        result = collect(study, trial, data, note["started"], note["seconds"])
    result.write(study.result(trial))
    listener.run_finished(trial, result, ran=True)
    return result


def _run(study: Study, trial: Trial, data: str, listener: Listener, stop: threading.Event) -> None:
    """Run from the first step; a partial run is discarded, since a run takes only minutes."""
    folder = study.run_folder(trial)
    remove_folder(folder)
    folder.mkdir(parents=True)
    note = {"settings": study.settings(trial, data), "started": time.time()}
    listener.run_started(trial, study.steps(trial.arm))
    seconds = run_subprocess(
        [sys.executable, "-m", "verl.trainer.main_ppo", *study.overrides(trial)],
        folder / "log.txt",
        60 * study.protocol.limits.run,
        {"VERL_PLATFORM": "cpu", "RAY_ADDRESS": "local"},
        lambda: listener.step_finished(trial, _steps(folder / RECORD_NAME)),
        stop,
    )
    _write_note(folder, {**note, "seconds": round(seconds, 1)})


def _write_note(folder: Path, note: dict[str, object]) -> None:
    write_bytes(folder / _STARTED, json.dumps(note, ensure_ascii=False).encode())


def _note(folder: Path) -> dict[str, Any]:
    note: dict[str, Any] = json.loads((folder / _STARTED).read_text(encoding="utf-8"))
    return note


def _settings_match(study: Study, trial: Trial, data: str) -> bool:
    """Return whether the folder holds a run of these settings."""
    try:
        return bool(_note(study.run_folder(trial))["settings"] == study.settings(trial, data))
    except (OSError, ValueError, KeyError):
        return False


def _steps(record: Path) -> int:
    """Count the training steps of a record without parsing it."""
    try:
        with record.open("rb") as file:
            return sum(line.startswith(b'{"part": "train"') for line in file)
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _locked(work: Path) -> Iterator[None]:
    """Hold an exclusive lock on a folder; the system releases it when the process ends."""
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "Another run of the study uses this folder. Wait, or pass another --work."
            raise ConfigError(work, hint=hint) from None
        yield
    finally:
        os.close(handle)
