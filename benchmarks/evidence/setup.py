"""Inputs shared by all runs: data, blank-image control and start models."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.evidence.blank_image import write_blank
from benchmarks.evidence.micro_maps import prepare_micro_maps
from benchmarks.evidence.protocol import Protocol
from benchmarks.evidence.study import Study, Trial, arguments, digest
from benchmarks.evidence.subprocesses import rewardmap_command, run_parallel, run_subprocess
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes
from rewardmap_verl.preparation.manifest import read_manifest

__all__ = ["Log", "make_data", "make_models", "seconds_of"]

Log = Callable[[str], None]
"""Reports the current step to the user."""


def make_data(study: Study, log: Log) -> str:
    """Prepare the data and the blank-image control; up-to-date folders are kept.

    Returns:
        The fingerprint of the prepared folder.

    Raises:
        ConfigError: The protocol's maps cannot be generated.
        DataError: A prompt is too long, or the folder cannot be written.
    """
    log("preparing maps and questions")
    protocol = study.protocol
    manifest = prepare_micro_maps(protocol.world, protocol.training.prompt_tokens, study.data)
    write_blank(study.data, study.blank)
    return manifest.fingerprint


@dataclass(frozen=True, slots=True)
class _Step:
    """A command that makes a model folder."""

    folder: Path
    command: str
    inputs: tuple[Path, ...]
    arguments: tuple[str, ...]
    of: str
    """Hash of its inputs."""

    @property
    def words(self) -> list[str]:
        """The command line."""
        return [self.command, *map(str, self.inputs), "--out", str(self.folder), *self.arguments]

    @property
    def note(self) -> Path:
        """File that records how the folder was made."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def wanted(self) -> dict[str, Any]:
        """Expected content of the note; folder names are left out."""
        return {"command": [self.command, *self.arguments], "of": self.of}


def make_models(
    study: Study, trials: Iterable[Trial], log: Log, jobs: int, stop: threading.Event
) -> None:
    """Make the start models that do not exist yet, ``jobs`` seeds in parallel.

    Raises:
        ConfigError: A command failed, or an existing model was made with other settings.
    """
    data = read_manifest(study.data).fingerprint
    seeds: dict[int, dict[Path, _Step]] = {}
    for trial in trials:
        chain = seeds.setdefault(study.model_seed(trial.seed), {})
        chain.update({step.folder: step for step in _steps(study, trial, data)})
    # By default, torch uses all cores in every process, and the processes slow each other down.
    threads = str(max(1, (os.cpu_count() or 1) // min(jobs, len(seeds))))
    make = partial(_make, protocol=study.protocol, log=log, stop=stop, threads=threads)
    tasks = [partial(_make_all, chain, make) for chain in seeds.values()]
    run_parallel(jobs, stop, tasks)


def _make_all(chain: dict[Path, _Step], make: Callable[[_Step], None]) -> None:
    for step in chain.values():
        make(step)


def _steps(study: Study, trial: Trial, data: str) -> list[_Step]:
    """Return the commands for the model of a run; each uses the output of the one before."""
    model, seed = study.protocol.model, study.model_seed(trial.seed)
    start = study.start_model(trial.seed)
    raw = start.with_name("untrained")
    build = tuple(arguments(model.tiny_model, seed))
    steps = [_Step(raw, "tiny-model", (study.data,), build, data)]
    for folder, line in zip(study.cold_starts(trial.seed), model.cold_start, strict=True):
        inputs, begin = (steps[-1].folder, study.data), tuple(arguments(line, seed))
        steps.append(_Step(folder, "cold-start", inputs, begin, digest(steps[-1].wanted)))
    sft = study.protocol.arms[trial.arm].sft
    if sft is not None:
        folder, more = study.model(trial), tuple(arguments(sft, trial.seed))
        before = digest(steps[-1].wanted)
        steps.append(_Step(folder, "cold-start", (start, study.data), more, before))
    return steps


def _make(step: _Step, protocol: Protocol, log: Log, stop: threading.Event, threads: str) -> None:
    if (step.folder / "config.json").is_file() and step.note.is_file():
        found = json.loads(step.note.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in step.wanted} == step.wanted:
            return
        raise ConfigError(
            step.folder,
            found="a model made with other settings or data",
            hint="Delete it, or pass another --work.",
        )
    log(f"making {step.folder.parent.name}/{step.folder.name}")
    remove_folder(step.folder)
    begin = time.monotonic()
    output = step.folder.parent / f"{step.folder.name}.log"
    minutes = protocol.limits.model
    environment = {"OMP_NUM_THREADS": threads}
    run_subprocess(rewardmap_command(*step.words), output, 60 * minutes, environment, stop=stop)
    note = {**step.wanted, "seconds": round(time.monotonic() - begin, 1)}
    write_bytes(step.note, json.dumps(note, indent=1).encode())


def seconds_of(folder: Path) -> float:
    """Return the time that a model took to make.

    Raises:
        DataError: The model has no note.
    """
    note = folder.with_name(f"{folder.name}.json")
    try:
        return float(json.loads(note.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError):
        raise DataError(note, hint="The model beside it was not made by this study.") from None
