"""Write the report of one run, or of several side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2

from rewardmap_verl.curriculum.groups import EVERY_TYPE
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder
from rewardmap_verl.reports.browser import AnswerChange, Browser, RunSource, write_browser
from rewardmap_verl.reports.curves import make_charts
from rewardmap_verl.reports.evaluations import RESULTS_NAME, EvaluationTable, read_evaluation
from rewardmap_verl.reports.held_out import Baselines, HeldOut, held_out, read_baselines
from rewardmap_verl.reports.prepared import PreparedData, data_folders, read_prepared
from rewardmap_verl.reports.rollouts import count_lines
from rewardmap_verl.reports.run_summary import held_out_accuracy, summarize
from rewardmap_verl.reports.runs import Run, read_runs
from rewardmap_verl.reports.scripts import write_script
from rewardmap_verl.rewards.config import RewardConfig, load_reward_config

__all__ = ["Report", "write_report"]

MARK: Final = "report.json"
"""A file that only reports have."""

_FORMAT: Final = 1
_FAULTS_SHOWN: Final = 5
_TYPES_SHOWN: Final = 3

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """A written report."""

    page: Path
    runs: tuple[str, ...]
    groups: int
    answers: int
    notes: tuple[str, ...]
    """Notes for the reader, each with the name of its run."""


def write_report(
    folders: Sequence[Path],
    output: Path,
    data: Sequence[Path] = (),
    logs: Sequence[Path] = (),
    evaluations: Sequence[Path] = (),
    config: RewardConfig | None = None,
    start: Callable[[int], Advance] = lambda answers: lambda done: None,
    watched: bool = False,
) -> Report:
    """Write a report.

    Args:
        folders: The runs, or folders of ``rewardmap evaluate``.
        output: The folder to write; an older report there is replaced once the new one is complete.
        data: Prepared folders; they take precedence over those in the runs' configurations.
        logs: More folders with TensorBoard's files.
        evaluations: Folders written by ``rewardmap evaluate``, whose tables are shown.
        config: The reward's settings; by default those of each run.
        start: Called with the number of answers; returns a callback for progress.
        watched: Whether the report will be written again; the page then looks for a newer one.

    Raises:
        DataError: A folder has no run or one of another version, or ``output`` is no report.
        ConfigError: The reward's settings in a run's metadata are invalid.
    """
    runs = read_runs(folders, logs)
    evaluated = [run.folder for run in runs if (run.folder / RESULTS_NAME).is_file()]
    tables = [read_evaluation(folder) for folder in (*evaluated, *evaluations)]
    sources = [_source(run, data, config) for run in runs]
    advance = start(sum(count_lines(dump.path) for run in runs for dump in run.dumps))
    with disk_errors(output), staging_folder(output, MARK) as building:
        browser = write_browser(sources, building, advance)
        notes = {source.run.name: list(_notes(source, browser)) for source in sources}
        _write_page(building, sources, browser, notes, tables, watched)
        write_script(building / "data" / "stamp.js", "stamp", time.time_ns())
        (building / MARK).write_text(json.dumps({"rewardmap_report": _FORMAT}), encoding="utf-8")
    return Report(
        page=output / "index.html",
        runs=tuple(run.name for run in runs),
        groups=browser.groups,
        answers=browser.answers,
        notes=tuple(f"{name}: {note}" for name, mine in notes.items() for note in mine),
    )


def _source(run: Run, data: Sequence[Path], config: RewardConfig | None) -> RunSource:
    folders = [*data, *data_folders(run.config)]
    questions = read_prepared(folders) if folders else PreparedData(())
    if config is None:
        try:
            config = load_reward_config(run.setting("reward.rewardmap"))
        except ConfigError as error:
            where, hint = f"{run.folder}: {error.where}", f"{error.hint} Or give --config."
            raise ConfigError(where, error.field, error.found, hint) from None
    return RunSource(run, questions, config)


def _notes(source: RunSource, browser: Browser) -> Iterator[str]:
    run = source.run
    yield from run.notes
    if run.dumps and not source.questions.folders:
        yield (
            "Its prepared data were not found, so answers are shown without maps and without the "
            "breakdown of rewards; give the folder with --data."
        )
    differ = browser.differ.get(run.name, 0)
    if differ:
        yield (
            f"The recorded reward of {differ:,} answers differs from the recomputed one: they were "
            "scored with other settings or another version; both are shown."
        )
    faults = browser.faults.get(run.name, [])
    yield from faults[:_FAULTS_SHOWN]
    if len(faults) > _FAULTS_SHOWN:
        yield f"… and {len(faults) - _FAULTS_SHOWN:,} more lines could not be read."


def _write_page(
    folder: Path,
    sources: Sequence[RunSource],
    browser: Browser,
    notes: dict[str, list[str]],
    evaluations: Sequence[EvaluationTable],
    watched: bool,
) -> None:
    room = files(__package__).joinpath("page")
    (folder / "assets").mkdir()
    for name in ("report.css", "report.js", "turns.js"):
        (folder / "assets" / name).write_bytes(room.joinpath(name).read_bytes())
    plotly = files("plotly") / "package_data" / "plotly.min.js"
    (folder / "assets" / plotly.name).write_bytes(plotly.read_bytes())
    runs = [source.run for source in sources]
    baselines = {s.run.name: read_baselines(s.run.config, s.questions.folders) for s in sources}
    known = baselines[runs[0].name] if len(runs) == 1 else None
    configs = [source.config for source in sources]
    charts = make_charts(runs, configs, known.majority if known else None)
    write_script(folder / "data" / "charts.js", "charts", charts)
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(room.joinpath("index.html").read_text("utf-8")).render(
        title=" · ".join(run.name for run in runs),
        runs=[
            _shown_run(run, notes[run.name], browser.changes.get(run.name), baselines[run.name])
            for run in runs
        ],
        watched=watched,
        charts=charts,
        evaluations=evaluations,
        groups=browser.groups,
        answers=browser.answers,
        version=version("rewardmap-verl"),
    )
    (folder / "index.html").write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def _shown_run(
    run: Run, notes: Sequence[str], change: AnswerChange | None, baselines: Baselines | None
) -> dict[str, Any]:
    lines = held_out(run.entries, baselines)
    summary = replace(summarize(run.entries), held_out=tuple(lines))
    return {
        "name": run.name,
        "steps": summary.steps,
        "pace": summary.step_seconds,
        "model": run.base_model,
        "stages": summary.visits,
        "notes": notes,
        "training": summary.stages,
        "validation": summary.validation,
        "rewards": {line.kind: line for line in summary.validation},
        "lines": lines,
        "held_out": held_out_accuracy(summary),
        "changed": _changed_types(lines),
        "conclusions": summary.conclusions,
        "change": change,
    }


def _changed_types(lines: Sequence[HeldOut]) -> list[HeldOut]:
    """Return the question types whose held-out accuracy changed, the most certain change first."""
    changed = [
        (abs(line.change.mean) / max(line.change.high - line.change.low, 1e-6), line)
        for line in lines
        if line.kind != EVERY_TYPE and line.change is not None and line.change.mean
    ]
    return [line for _, line in sorted(changed, key=lambda pair: -pair[0])[:_TYPES_SHOWN]]
