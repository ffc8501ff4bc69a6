"""Read the folder of a run: record, dumped rollouts, configuration, logs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME, METADATA_VERSION
from rewardmap_verl.curriculum.record import RECORD_NAME, Entry, read_record
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.logged_rows import is_answer_log, logged_folder
from rewardmap_verl.evaluation.saved import LOG_NAME
from rewardmap_verl.inputs.files import is_folder
from rewardmap_verl.inputs.parsing import parse_yaml
from rewardmap_verl.reports.logs import Curve, find_logs, read_curves

__all__ = ["Dump", "Run", "read_metadata", "read_metadata_near", "read_run", "read_runs"]

_CHECKPOINT = "latest_checkpointed_iteration.txt"
_PARTS_OF_PATH = 3
_STEP = re.compile(r"[0-9]{1,12}")
_SECTIONS = ("trainer", "data", "actor_rollout_ref", "reward")
"""Sections of the configuration that a report reads."""


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump file of verl: the rollouts of one training step or validation."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class Run:
    """The files of one run, as far as they exist."""

    name: str
    folder: Path
    """Its folder, or the file of its answers."""
    entries: tuple[Entry, ...]
    """Its record; empty if there is none."""
    config: Mapping[str, Any]
    """Its full configuration; empty if it was not saved."""
    dumps: tuple[Dump, ...]
    """In order of steps."""
    curves: Mapping[str, Curve]
    """Logged metrics, by verl's names."""
    notes: tuple[str, ...]
    """Notes for the reader: missing files, an unfinished run."""

    @property
    def steps(self) -> int:
        """The last training step that was recorded; 0 before the first."""
        return max((entry.step for entry in self.entries if entry.part == "train"), default=0)

    @property
    def base_model(self) -> str:
        """Hub name of the base model, or the end of its path; "" if unknown."""
        path = PurePath(str(self.setting("actor_rollout_ref.model.path") or ""))
        if not path.parts:
            return ""
        return str(PurePath(*path.parts[-_PARTS_OF_PATH:]) if path.is_absolute() else path)

    def setting(self, key: str) -> Any:
        """Return a value of the configuration by its dotted key; ``None`` if it is missing."""
        value: Any = self.config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value


def read_runs(folders: Iterable[Path], logs: Iterable[Path] = ()) -> list[Run]:
    """Read several runs; equal names get a number.

    Raises:
        DataError: See ``read_run``.
    """
    runs: list[Run] = []
    extra = tuple(logs)
    for folder in folders:
        run = read_run(folder, extra)
        taken = {other.name for other in runs}
        names = [run.name, *(f"{run.name} ({number})" for number in range(2, len(taken) + 3))]
        name = next(name for name in names if name not in taken)
        runs.append(replace(run, name=name))
    return runs


def read_run(folder: Path, logs: Iterable[Path] = ()) -> Run:
    """Read the run in a folder, the answers of ``rewardmap evaluate``, or a file of answers.

    Args:
        folder: A folder with ``rewardmap_record.jsonl`` at any depth, or of an evaluation; or a
            file of answers that ``rewardmap score``, ``rewardmap evaluate`` or verl wrote.
        logs: More folders with TensorBoard's files.

    Raises:
        DataError: The folder has no run, several runs, or a run of another version.
    """
    if folder.is_file():
        return _answers(folder)
    if not folder.is_dir():
        raise DataError(folder, hint="There is no such folder. Give that of a run's checkpoints.")
    if (folder / LOG_NAME).is_file():
        return _answers(folder / LOG_NAME, folder)
    record = _only(folder, RECORD_NAME)
    config = read_metadata(_only(folder, METADATA_NAME))
    entries = _entries(record)
    dumps = _dumps(folder, config)
    if not entries and not dumps:
        raise DataError(
            folder,
            found=f"neither {RECORD_NAME} nor rollouts",
            hint="Give the folder of one run's checkpoints (trainer.default_local_dir).",
        )
    times = {entry.step: entry.time for entry in entries if entry.part == "train"}
    curves = read_curves(find_logs(folder, config, logs), times)
    notes = tuple(_notes(folder, entries, config, dumps, curves))
    return Run(_name(folder), folder, entries, config, dumps, curves, notes)


def _answers(file: Path, folder: Path | None = None) -> Run:
    """Return a file of answers as a run without training steps.

    Args:
        file: The file.
        folder: The folder of ``rewardmap evaluate`` that it is in, if any.

    Raises:
        DataError: It is a log of ``rewardmap evaluate`` whose data are gone, or should be one.
    """
    logged = folder is not None or is_answer_log(file)
    config = {"data": {"folder": str(logged_folder(file))}} if logged else read_metadata_near(file)
    name = file.stem if folder is None else _name(folder)
    return Run(name, folder or file, (), config, (Dump(0, file),), {}, ())


def read_metadata_near(file: Path) -> Mapping[str, Any]:
    """Return the configuration of the run that a file belongs to; empty if it belongs to none.

    Raises:
        DataError: See ``read_metadata``.
    """
    notes = (folder / METADATA_NAME for folder in file.resolve().parents)
    return read_metadata(next((path for path in notes if path.is_file()), None))


def _name(folder: Path) -> str:
    resolved = folder.resolve()
    return resolved.parent.name if resolved.name == "checkpoints" else resolved.name


def _only(folder: Path, name: str) -> Path | None:
    found = sorted(path for path in folder.rglob(name) if path.is_file())
    if len(found) > 1:
        raise DataError(
            folder,
            found=[str(path.relative_to(folder)) for path in found],
            hint="These are several runs; give their folders one by one.",
        )
    return found[0] if found else None


def _entries(record: Path | None) -> tuple[Entry, ...]:
    if record is None or not record.stat().st_size:
        return ()
    return tuple(read_record(record))


def read_metadata(path: Path | None) -> Mapping[str, Any]:
    """Return the configuration that was saved beside a record; empty without a file.

    Raises:
        DataError: The file cannot be read, or another version wrote it.
    """
    if path is None:
        return {}
    try:
        metadata = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(path, found=str(error), hint="Repair or remove the file.") from None
    about = metadata.get("rewardmap_run") if isinstance(metadata, dict) else None
    format = about.get("format") if isinstance(about, dict) else None
    if format != METADATA_VERSION:
        hint = "Another version of rewardmap-verl wrote it; use that version."
        raise DataError(path, "rewardmap_run.format", format, hint)
    for name in _SECTIONS:
        if not isinstance(metadata.setdefault(name, {}), dict):
            raise DataError(path, name, metadata[name], "It must be a mapping.")
    return dict(metadata)


def _dumps(folder: Path, config: Mapping[str, Any]) -> tuple[Dump, ...]:
    """Return the dumps below a run's folder and in verl's folders, ``<step>.jsonl``."""
    trainer = config.get("trainer") or {}
    named = (trainer.get("rollout_data_dir"), trainer.get("validation_data_dir"))
    # A stranger's configuration may name any folder, so only the files in it are looked at.
    places = [Path(name) for name in named if isinstance(name, str)]
    listed = chain.from_iterable(place.glob("*.jsonl") for place in places if is_folder(place))
    found = {
        path.resolve(): Dump(int(path.stem), path)
        for path in chain(folder.rglob("*.jsonl"), listed)
        if _STEP.fullmatch(path.stem) and path.is_file()
    }
    return tuple(sorted(found.values(), key=lambda dump: (dump.step, str(dump.path))))


def _notes(
    folder: Path,
    entries: tuple[Entry, ...],
    config: Mapping[str, Any],
    dumps: tuple[Dump, ...],
    curves: Mapping[str, Curve],
) -> Iterable[str]:
    if not entries:
        yield "The run has no record, so there are no reward curves and no tables."
    if not config:
        yield (
            f"The run's configuration was not saved ({METADATA_NAME} is missing); answers are "
            "explained with the default reward settings unless --config is given."
        )
    if not dumps:
        yield (
            "The run dumped no rollouts. To see answers, train with "
            "trainer.rollout_data_dir=FOLDER and trainer.validation_data_dir=FOLDER."
        )
    if entries and not curves:
        yield (
            "No TensorBoard files of the run were found, so there are no curves of response length "
            "and KL; give their folder with --logs."
        )
    steps = [entry.step for entry in entries if entry.part == "train"]
    if steps and not _has_ended(folder, entries, max(steps)):
        yield (
            f"The run has not ended: {max(steps)} steps are recorded, without a checkpoint or "
            "validation of the last one. The report covers these steps."
        )


def _has_ended(folder: Path, entries: tuple[Entry, ...], last: int) -> bool:
    if any(entry.part == "val" and entry.step >= last for entry in entries):
        return True
    saved = [
        path.read_text(encoding="utf-8", errors="replace").strip()
        for path in folder.rglob(_CHECKPOINT)
        if path.is_file()
    ]
    return any(_STEP.fullmatch(text) and int(text) >= last for text in saved)
