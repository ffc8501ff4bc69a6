"""Inputs shared by all runs: data, blank-image control and start models."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.evidence.blank_image import write_blank
from benchmarks.evidence.maps import content_digest, prepare_maps
from benchmarks.evidence.protocol import Protocol
from benchmarks.evidence.study import FIRST_SEED, Study, Trial, arguments, digest
from benchmarks.evidence.subprocesses import rewardmap_command, run_parallel, run_subprocess
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes

__all__ = ["Log", "make_data", "make_models"]

Log = Callable[[str], None]
"""Reports the current step to the user."""


def make_data(study: Study, log: Log) -> str:
    """Prepare the data and the blank-image control; up-to-date folders are kept.

    Returns:
        The hash of its content.

    Raises:
        DataError: A prompt is too long, or the folder cannot be written.
    """
    log("preparing maps and questions")
    protocol = study.protocol
    prepare_maps(protocol.world, protocol.training.prompt_tokens, study.data)
    write_blank(study.data, study.blank)
    return content_digest(study.data)


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
    """Make the models that do not exist yet: the shared start, then ``jobs`` others in parallel.

    Raises:
        ConfigError: A command failed, or an existing model was made with other settings.
    """
    data = content_digest(study.data)
    # By default, torch uses all cores in every process, and the processes slow each other down.
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    make = partial(_make, protocol=study.protocol, log=log, stop=stop, threads=threads)
    start = _start_steps(study, data)
    for one in start:
        make(one)
    own = [_own_step(study, trial, start[-1]) for trial in trials]
    run_parallel(jobs, stop, [partial(make, one) for one in own if one])


def _start_steps(study: Study, data: str) -> list[_Step]:
    """Return the commands for the start model; each uses the output of the one before."""
    first, *others = study.starts
    steps = [_Step(first, "pocket-model", (), (), data)]
    for folder, line in zip(others, study.protocol.model.cold_start, strict=True):
        steps.append(_cold_start(folder, steps[-1], study, arguments(line, FIRST_SEED)))
    return steps


def _own_step(study: Study, trial: Trial, start: _Step) -> _Step | None:
    """Return the command for the supervised steps of a run, if its arm has any."""
    sft = study.protocol.arms[trial.arm].sft
    if sft is None:
        return None
    words = arguments(sft, trial.seed, study.sft_steps(trial.arm))
    return _cold_start(study.model(trial), start, study, words)


def _cold_start(folder: Path, before: _Step, study: Study, words: list[str]) -> _Step:
    inputs, of = (before.folder, study.data), digest(before.wanted)
    return _Step(folder, "cold-start", inputs, tuple(words), of)


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
    output = step.folder.parent / f"{step.folder.name}.log"
    minutes = protocol.limits.model
    environment = {"OMP_NUM_THREADS": threads}
    run_subprocess(rewardmap_command(*step.words), output, 60 * minutes, environment, stop=stop)
    write_bytes(step.note, json.dumps(step.wanted, indent=1).encode())
