"""Whatever is in the folder of a run, a report or summary shows it or ends with one line."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.evaluation.results import FORMAT
from rewardmap_verl.reports.curves import make_charts
from rewardmap_verl.reports.evaluations import read_evaluation
from rewardmap_verl.reports.logs import find_logs
from rewardmap_verl.reports.prepared import data_folders
from rewardmap_verl.reports.rollouts import read_groups
from rewardmap_verl.reports.run_summary import summarize
from rewardmap_verl.reports.runs import read_run
from rewardmap_verl.reports.scripts import as_script
from rewardmap_verl.rewards.config import load_reward_config

KEYS = (
    "part",
    "step",
    "time",
    "groups",
    "stage",
    "type",
    "row",
    "slot",
    "epoch",
    "repeat",
    "scores",
    "score",
    "acc",
    "gts",
    "output",
    "uid",
    "input",
    "rewardmap_run",
    "format",
    "trainer",
    "data",
    "folder",
    "train_files",
    "reward",
    "rewardmap",
    "rollout_data_dir",
    "actor_rollout_ref",
    "model",
    "path",
    "rewardmap_results",
    "questions",
    "name",
    "default_local_dir",
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["train", "val", 1, 2, 10**400, "1", "[/]", "<b>"])
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
fuzz = settings(max_examples=150, suppress_health_check=FIXTURES)


def entry(value: Any) -> dict[str, Any]:
    """A record's entry with one field replaced."""
    group = {"stage": "s", "type": "TorF1", "row": 0, "slot": 0, "epoch": 0, "repeat": False}
    return {"part": "train", "step": 1, "time": 1.0, "groups": [{**group, "scores": {}}], **value}


@fuzz
@given(lines=st.lists(VALUE | st.dictionaries(st.sampled_from(KEYS), VALUE).map(entry), max_size=4))
def test_a_record_is_summarized_or_refused(tmp_path: Path, lines: list[Any]) -> None:
    record = tmp_path / "rewardmap_record.jsonl"
    record.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    try:
        run = read_run(tmp_path)
    except DataError:
        return
    summarize(run.entries)
    as_script("charts", make_charts([run]))


@fuzz
@given(config=VALUE)
def test_a_configuration_is_used_or_refused(tmp_path: Path, config: Any) -> None:
    record = tmp_path / "rewardmap_record.jsonl"
    record.write_text(json.dumps(entry({})) + "\n", "utf-8")
    values = {**(config if isinstance(config, dict) else {"x": config})}
    values["rewardmap_run"] = {"format": 1}
    (tmp_path / "rewardmap_run.yaml").write_text(json.dumps(values), "utf-8")
    try:
        run = read_run(tmp_path)
        load_reward_config(run.setting("reward.rewardmap"))
    except (DataError, ConfigError):
        return
    assert isinstance(run.base_model, str)
    data_folders(run.config)


@pytest.mark.parametrize("name", ["/", "..", "a" * 5000, "\0", "x/../../.."])
def test_a_configuration_makes_no_other_folder_be_searched(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger's configuration names the root of the disk in place of a run's folders."""
    run, other = tmp_path / "run", tmp_path / "other" / "deep"
    run.mkdir()
    other.mkdir(parents=True)
    (other / "1.jsonl").write_text("{}\n", "utf-8")
    (other / "events.out.tfevents.1").write_bytes(b"")
    monkeypatch.chdir(run)
    named = str(tmp_path) if name == "/" else name
    trainer = {
        "rollout_data_dir": named,
        "validation_data_dir": named,
        "project_name": named,
        "experiment_name": named,
    }
    values = {"rewardmap_run": {"format": 1}, "trainer": trainer, "data": {"folder": named}}
    (run / "rewardmap_run.yaml").write_text(json.dumps(values), "utf-8")
    (run / "rewardmap_record.jsonl").write_text(json.dumps(entry({})) + "\n", "utf-8")
    found = read_run(run)
    assert found.dumps == () and data_folders(found.config) == []
    assert find_logs(run, found.config) == []


@fuzz
@given(lines=st.lists(VALUE | st.dictionaries(st.sampled_from(KEYS), VALUE), max_size=4))
def test_a_dump_has_groups_and_faults(tmp_path: Path, lines: list[Any]) -> None:
    dump = tmp_path / "3.jsonl"
    dump.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    for group in read_groups(dump):
        if not isinstance(group, DataError):
            as_script("group", [group.step, group.question, [one.score for one in group.rollouts]])


@fuzz
@given(results=VALUE, table=VALUE | st.just([["a"], ["b"]]))
def test_an_evaluation_is_shown_or_refused(tmp_path: Path, results: Any, table: Any) -> None:
    added = {"rewardmap_results": FORMAT, "table": table}
    values = {**results, **added} if isinstance(results, dict) else results
    (tmp_path / "results.json").write_text(json.dumps(values), "utf-8")
    try:
        read_evaluation(tmp_path)
    except DataError:
        return


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rewardmap_record.jsonl", b"\xff\xfe[[[[[[[["),
        ("rewardmap_record.jsonl", b"[" * 100_000),
        ("rewardmap_run.yaml", b"a: &a [x, x]\nb: [*a, *a]\n"),
        ("rewardmap_run.yaml", b"[" * 50_000),
        ("rewardmap_run.yaml", b"\xff"),
        ("rewardmap_run.yaml", b"rewardmap_run: {format: 1}\ntrainer: [1]\n"),
        ("validation/7.jsonl", b"\xff" * 1000),
        ("events.out.tfevents.1.x", b"no events" * 100),
        ("latest_checkpointed_iteration.txt", b"\xff" * 9 + b"9" * 5000),
    ],
)
@pytest.mark.parametrize("command", ["report", "summary"])
def test_a_damaged_file_ends_with_one_line_or_is_noted(
    run_folder: Path, tmp_path: Path, command: str, name: str, content: bytes
) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    shutil.rmtree(run / "rollouts")
    (run / name).write_bytes(content)
    done = CliRunner().invoke(app, [command, str(run)])
    assert done.exit_code in (0, 2), done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_pipes_and_folders_in_place_of_files_are_ignored(run_folder: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    shutil.rmtree(run / "rollouts")
    os.mkfifo(run / "validation" / "99.jsonl")
    (run / "validation" / "98.jsonl").mkdir()
    os.mkfifo(run / "latest_checkpointed_iteration.txt")
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0, done.output
