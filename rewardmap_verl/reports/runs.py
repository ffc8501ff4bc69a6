"""What lies in the folder of a run: its record, its dumped rollouts, its settings, its logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from rewardmap_verl.checkpoints.run_metadata import METADATA_NAME, METADATA_VERSION
from rewardmap_verl.curriculum.record import RECORD_NAME, Entry, read_record
from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.logs import Curve, find_logs, read_curves

__all__ = ["Dump", "Run", "read_run", "read_runs"]

_CHECKPOINT = "latest_checkpointed_iteration.txt"
_PARTS_OF_PATH = 3


@dataclass(frozen=True, slots=True)
class Dump:
    """One file of verl's: the rollouts of one training step or of one validation."""

    step: int
    path: Path


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as far as it has left traces."""

    name: str
    folder: Path
    entries: tuple[Entry, ...]
    """Its record; empty when it kept none."""
    config: Mapping[str, Any]
    """Its whole configuration; empty when it was not kept."""
    dumps: tuple[Dump, ...]
    """In order of steps."""
    curves: Mapping[str, Curve]
    """What verl logged, by verl's own names."""
    notes: tuple[str, ...]
    """What a reader should know: parts that are missing, a run that has not ended."""

    @property
    def steps(self) -> int:
        """The last training step that was recorded; 0 before the first."""
        return max((entry.step for entry in self.entries if entry.part == "train"), default=0)

    @property
    def base_model(self) -> str:
        """The hub's name of the model that was trained, or the end of its path; "" if not known."""
        path = PurePath(str(self.setting("actor_rollout_ref.model.path") or ""))
        if not path.parts:
            return ""
        return str(PurePath(*path.parts[-_PARTS_OF_PATH:]) if path.is_absolute() else path)

    def setting(self, key: str) -> Any:
        """A value of the configuration by its dotted key; ``None`` when there is none."""
        value: Any = self.config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value


def read_runs(folders: Iterable[Path], logs: Iterable[Path] = ()) -> list[Run]:
    """Read several runs; those of one name are told apart by number.

    Raises:
        DataError: See :func:`read_run`.
    """
    runs: list[Run] = []
    extra = tuple(logs)
    for folder in folders:
        run = read_run(folder, extra)
        taken = {other.name for other in runs}
        names = [run.name, *(f"{run.name} ({number})" for number in range(2, len(taken) + 3))]
        name = next(name for name in names if name not in taken)
        runs.append(
            Run(name, run.folder, run.entries, run.config, run.dumps, run.curves, run.notes)
        )
    return runs


def read_run(folder: Path, logs: Iterable[Path] = ()) -> Run:
    """Read the run in a folder: that of its checkpoints, or the one above it.

    Args:
        folder: Where ``rewardmap_record.jsonl`` lies, at any depth.
        logs: Folders with TensorBoard's files, beside those that the run itself points at.

    Raises:
        DataError: There is no run, there are several, or another version has written it.
    """
    if not folder.is_dir():
        raise DataError(folder, hint="There is no such folder; give that of a run's checkpoints.")
    record = _only(folder, RECORD_NAME)
    config = _config(_only(folder, METADATA_NAME))
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


def _name(folder: Path) -> str:
    whole = folder.resolve()
    return whole.parent.name if whole.name == "checkpoints" else whole.name


def _only(folder: Path, name: str) -> Path | None:
    found = sorted(path for path in folder.rglob(name) if path.is_file())
    if len(found) > 1:
        raise DataError(
            folder,
            found=[str(path.relative_to(folder)) for path in found],
            hint="These are several runs; name them one by one.",
        )
    return found[0] if found else None


def _entries(record: Path | None) -> tuple[Entry, ...]:
    if record is None or not record.stat().st_size:
        return ()
    try:
        return tuple(read_record(record))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            record,
            found=f"{type(error).__name__}: {error}",
            hint="Another version of rewardmap-verl has written it; report with that version.",
        ) from None


def _config(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        note = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(path, found=str(error), hint="Remove it, or report without it.") from None
    about = note.get("rewardmap_run") if isinstance(note, dict) else None
    format = about.get("format") if isinstance(about, dict) else None
    if format != METADATA_VERSION:
        hint = "Another version of rewardmap-verl has written it; report with that version."
        raise DataError(path, "rewardmap_run.format", format, hint)
    return note


def _dumps(folder: Path, config: Mapping[str, Any]) -> tuple[Dump, ...]:
    """verl names its dumps ``<step>.jsonl``."""
    trainer = config.get("trainer") or {}
    named = (trainer.get("rollout_data_dir"), trainer.get("validation_data_dir"))
    places = [folder, *(Path(name) for name in named if name)]
    found = {
        path.resolve(): Dump(int(path.stem), path)
        for place in places
        if place.is_dir()
        for path in place.rglob("*.jsonl")
        if path.stem.isascii() and path.stem.isdigit()
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
        yield "It kept no record, so there are no curves of rewards and no tables."
    if not config:
        yield (
            f"Its settings were not kept ({METADATA_NAME} is missing); answers are explained with the "
            "reward's own defaults unless --config says otherwise."
        )
    if not dumps:
        yield (
            "It dumped no rollouts. To see answers, train with "
            "trainer.rollout_data_dir=FOLDER and trainer.validation_data_dir=FOLDER."
        )
    if entries and not curves:
        yield (
            "No TensorBoard files of it were found, so there are no curves of response length and "
            "KL; name their folder with --logs."
        )
    steps = [entry.step for entry in entries if entry.part == "train"]
    if steps and not _has_ended(folder, entries, max(steps)):
        yield (
            f"It has not ended: {max(steps)} steps are recorded, and neither a checkpoint nor a "
            "validation is from the last of them. The report is about what is there."
        )


def _has_ended(folder: Path, entries: tuple[Entry, ...], last: int) -> bool:
    if any(entry.part == "val" and entry.step >= last for entry in entries):
        return True
    saved = [path.read_text(encoding="utf-8").strip() for path in folder.rglob(_CHECKPOINT)]
    return any(text.isdigit() and int(text) >= last for text in saved)
