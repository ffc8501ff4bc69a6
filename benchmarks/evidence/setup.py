"""What all runs have in common, made once: data, blank control, and the models they start from."""

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
from benchmarks.evidence.protocol import Protocol
from benchmarks.evidence.study import Study, Trial, arguments, digest
from benchmarks.evidence.subprocesses import rewardmap_command, run_child, side_by_side
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import remove_folder, write_bytes
from rewardmap_verl.preparation.manifest import read_manifest

__all__ = ["Say", "make_data", "make_models", "seconds_of"]

Say = Callable[[str], None]
"""Tells the user what is done now."""


def make_data(study: Study, say: Say) -> str:
    """Prepare the data and the blank control, unless they are there.

    Returns:
        The fingerprint of the prepared folder.

    Raises:
        ConfigError: The preparation failed.
        DataError: What it made cannot be read.
    """
    say("preparing maps and questions")
    words = arguments(study.protocol.world.prepare, 1)
    command = rewardmap_command("prepare", *words, "--out", str(study.data))
    run_child(command, study.work / "logs" / "prepare.txt", 60 * study.protocol.limits.world)
    write_blank(study.data, study.blank)
    return read_manifest(study.data).fingerprint


@dataclass(frozen=True, slots=True)
class _Step:
    """One command that makes a model folder."""

    folder: Path
    command: str
    inputs: tuple[Path, ...]
    arguments: tuple[str, ...]
    of: str
    """What it is made of, as a hash."""

    @property
    def words(self) -> list[str]:
        """The command line."""
        return [self.command, *map(str, (*self.inputs, self.folder)), *self.arguments]

    @property
    def note(self) -> Path:
        """The file that says what the folder was made of."""
        return self.folder.with_name(f"{self.folder.name}.json")

    @property
    def wanted(self) -> dict[str, Any]:
        """What the note says; names of folders do not matter."""
        return {"command": [self.command, *self.arguments], "of": self.of}


def make_models(
    study: Study, trials: Iterable[Trial], say: Say, jobs: int, stop: threading.Event
) -> None:
    """Make the models that runs start from, unless they are there; ``jobs`` seeds at a time.

    Raises:
        ConfigError: One could not be made, or one of other settings is in the place.
    """
    data = read_manifest(study.data).fingerprint
    seeds: dict[int, dict[Path, _Step]] = {}
    for trial in trials:
        chain = seeds.setdefault(study.model_seed(trial.seed), {})
        chain.update({step.folder: step for step in _steps(study, trial, data)})
    # Each a share of the cores: torch gives all to each, which then wait for each other
    threads = str(max(1, (os.cpu_count() or 1) // min(jobs, len(seeds))))
    make = partial(_make, protocol=study.protocol, say=say, stop=stop, threads=threads)
    tasks = [partial(_make_all, chain, make) for chain in seeds.values()]
    side_by_side(jobs, stop, tasks)


def _make_all(chain: dict[Path, _Step], make: Callable[[_Step], None]) -> None:
    for step in chain.values():
        make(step)


def _steps(study: Study, trial: Trial, data: str) -> list[_Step]:
    """The commands for the model of a run, each made of what the one before has made."""
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


def _make(step: _Step, protocol: Protocol, say: Say, stop: threading.Event, threads: str) -> None:
    if (step.folder / "config.json").is_file() and step.note.is_file():
        found = json.loads(step.note.read_text(encoding="utf-8"))
        if {name: found.get(name) for name in step.wanted} == step.wanted:
            return
        raise ConfigError(
            step.folder,
            found="a model that was made with other settings or of other data",
            hint="Remove it, or name another folder with --work.",
        )
    say(f"making {step.folder.parent.name}/{step.folder.name}")
    remove_folder(step.folder)
    begin = time.monotonic()
    log = step.folder.parent / f"{step.folder.name}.log"
    minutes = protocol.limits.world
    environment = {"OMP_NUM_THREADS": threads}
    run_child(rewardmap_command(*step.words), log, 60 * minutes, environment, stop=stop)
    note = {**step.wanted, "seconds": round(time.monotonic() - begin, 1)}
    write_bytes(step.note, json.dumps(note, indent=1).encode())


def seconds_of(folder: Path) -> float:
    """How long a model took to make.

    Raises:
        DataError: It was not made here.
    """
    note = folder.with_name(f"{folder.name}.json")
    try:
        return float(json.loads(note.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError):
        raise DataError(note, hint="The model beside it was not made by this study.") from None
