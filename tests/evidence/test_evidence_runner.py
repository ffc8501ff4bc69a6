"""Running a study: finished runs are kept, and partial runs start over.

The programs that a study starts are replaced by functions that write the same files.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from benchmarks.evidence import runner, setup
from benchmarks.evidence.baselines import read_scale
from benchmarks.evidence.blank_image import BLANK_MARK, write_blank
from benchmarks.evidence.collect import is_finished
from benchmarks.evidence.maps import content_digest
from benchmarks.evidence.result import Result, load_result, read_result
from benchmarks.evidence.runner import run_study
from benchmarks.evidence.study import Study, Trial
from benchmarks.evidence.subprocesses import run_parallel, run_subprocess
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RECORD_NAME, RecordWriter
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.evaluation.questions import read_questions
from rewardmap_verl.preparation.manifest import read_manifest, write_manifest
from rewardmap_verl.rewards.perfect import perfect_answer

BLANK_ANSWER = "\\boxed{no}"


class Silent:
    """A listener that only counts runs."""

    def __init__(self) -> None:
        self.ran: list[Trial] = []

    def log(self, text: str) -> None: ...

    def run_started(self, trial: Trial, steps: int) -> None: ...

    def step_finished(self, trial: Trial, step: int) -> None: ...

    def run_finished(self, trial: Trial, result: Result, ran: bool) -> None:
        if ran:
            self.ran.append(trial)


def play_run(study: Study, trial: Trial, steps: int) -> None:
    """Write the files of a run: gold answers for maps, one constant answer for blank images."""
    folder = study.run_folder(trial)
    record = RecordWriter(folder / RECORD_NAME)
    scores = {"score": (0.0, 1.0), "acc": (0.0, 1.0), "readable": (1.0, 1.0)}
    for step in range(1, steps + 1):
        record.write("train", step, [Group("all", "planning", 0, 0, 0, False, scores)])
    seen, blank = read_questions(study.data).items, read_questions(study.blank).items
    rows = [(one, perfect_answer(one.truth, one.network)) for one in seen]
    rows += [(one, BLANK_ANSWER) for one in blank]
    lines = [
        {"input": one.prompt, "output": text, "gts": one.gold, "uid": f"{number}_0_0"}
        for number, (one, text) in enumerate(rows)
    ]
    dump = folder / "validation"
    dump.mkdir()
    text = "".join(json.dumps(line) + "\n" for line in reversed(lines))
    for step in {0, steps}:
        (dump / f"{step}.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture
def ready(study: Study, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """The study with data; runs and models are simulated."""
    ready = replace(study, work=study.work)
    study.work.mkdir()
    for name in ("data", "blank"):
        (study.work / name).symlink_to(prepared / name)

    def no_data(study: Study, say: Any) -> str:
        return content_digest(study.data)

    monkeypatch.setattr(runner, "make_data", no_data)
    monkeypatch.setattr(runner, "make_models", lambda *_: None)
    return ready


@pytest.fixture
def played(ready: Study, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Trial]]:
    """The runs that were started, in order."""
    started: list[Trial] = []

    def run(command: Sequence[str], log: Path, *_: Any) -> float:
        trial = Trial(log.parent.parent.name, int(log.parent.name.removeprefix("seed-")))
        started.append(trial)
        play_run(ready, trial, ready.budget.steps)
        return 60.0

    monkeypatch.setattr(runner, "run_subprocess", run)
    yield started


ARMS = ("rl_baseline", "rewardmap")


def test_result_has_the_answers(ready: Study, played: list[Trial]) -> None:
    (result,) = run_study(ready, ready.trials(("rewardmap",), 1), Silent())
    last = result.validations[-1]
    assert set(last.map.right) == {1.0}, "gold answers, separate from those to blank images"
    assert 0 < sum(last.blank.right) < len(last.blank.right), "some questions have no for answer"
    assert set(last.blank.text) == {BLANK_ANSWER}
    assert last.map.text[0] != ""
    assert result.validations[0].map.text == ()
    details = [one for one in last.map.detail if one is not None]
    assert details == [10.0] * len(details) and details
    assert [one.step for one in result.curve] == list(range(1, ready.budget.steps + 1))
    assert result.curve[0].kinds["planning"]["no_signal"] == 0.0
    assert result.rollouts == 2 * ready.budget.steps
    assert result.reward_hacking["after"]["planning"]["wrong"] == 0.0
    assert result.reward_hacking["after"]["planning"]["same_on_blank"] == 0.0
    scale = read_scale(ready.out)
    assert set(scale.baselines["gold"].right) == {1.0}
    assert sum(scale.baselines["random"].right) < len(scale.types)


def test_finished_runs_are_kept(ready: Study, played: list[Trial]) -> None:
    first = run_study(ready, ready.trials(ARMS, 1), Silent())
    assert played == [Trial("rl_baseline", 1), Trial("rewardmap", 1)]
    listener = Silent()
    again = run_study(ready, ready.trials(ARMS, 2), listener)
    assert listener.ran == [Trial("rl_baseline", 2), Trial("rewardmap", 2)]
    assert again[:2] == first


def test_a_partial_run_starts_over(ready: Study, played: list[Trial]) -> None:
    (trial,) = ready.trials(("rewardmap",), 1)
    folder = ready.run_folder(trial)
    folder.mkdir(parents=True)
    (folder / "left_over.txt").write_text("half")
    play_run(ready, trial, ready.budget.steps - 1)
    run_study(ready, [trial], Silent())
    assert played == [trial]
    assert not (folder / "left_over.txt").exists()


def test_a_finished_run_without_a_result_is_collected(ready: Study, played: list[Trial]) -> None:
    (trial,) = ready.trials(("rewardmap",), 1)
    (result,) = run_study(ready, [trial], Silent())
    ready.result(trial).unlink()
    (again,) = run_study(ready, [trial], Silent())
    assert played == [trial]
    assert again == result


def test_a_truncated_dump_is_not_a_finished_run(ready: Study, played: list[Trial]) -> None:
    (trial,) = ready.trials(("rewardmap",), 1)
    run_study(ready, [trial], Silent())
    questions = len(read_questions(ready.data).items)
    assert is_finished(ready, trial, questions)
    dump = ready.run_folder(trial) / "validation" / f"{ready.budget.steps}.jsonl"
    dump.write_bytes(dump.read_bytes()[:-20])
    assert not is_finished(ready, trial, questions)


def test_finished_runs_survive_an_interruption(
    ready: Study, played: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    play = runner.run_subprocess

    def interrupted(*arguments: Any) -> float:
        if played:
            raise KeyboardInterrupt
        return play(*arguments)

    monkeypatch.setattr(runner, "run_subprocess", interrupted)
    trials = ready.trials(ARMS, 1)
    with pytest.raises(KeyboardInterrupt):
        run_study(ready, trials, Silent())
    assert [ready.result(one).is_file() for one in trials] == [True, False]
    monkeypatch.setattr(runner, "run_subprocess", play)
    run_study(ready, trials, Silent())
    assert played == list(trials)


def test_results_of_other_settings_are_refused(
    ready: Study, played: list[Trial], protocol_values: dict[str, Any]
) -> None:
    run_study(ready, ready.trials(ARMS, 1), Silent())
    protocol_values["training"]["learning_rate"] = 0.5
    changed = replace(ready, protocol=type(ready.protocol).model_validate(protocol_values))
    with pytest.raises(ConfigError) as caught:
        run_study(changed, changed.trials(ARMS, 1), Silent())
    for word in ("training.learning_rate", "0.5", "--out", "seed-1.json"):
        assert word in str(caught.value)
    assert len(played) == 2, "nothing was run before it was refused"


def test_seeds_and_other_arms_do_not_invalidate_results(
    ready: Study, played: list[Trial], protocol_values: dict[str, Any]
) -> None:
    (trial,) = ready.trials(("rewardmap",), 1)
    run_study(ready, [trial], Silent())
    protocol_values["budgets"]["small"]["seeds"] = 9
    protocol_values["arms"]["rl_baseline"]["recipe"] = []
    protocol_values["title"] = "Another title"
    changed = replace(ready, protocol=type(ready.protocol).model_validate(protocol_values))
    assert load_result(changed, trial, None) is not None


def test_a_truncated_result_is_named(ready: Study, played: list[Trial]) -> None:
    (trial,) = ready.trials(("rewardmap",), 1)
    run_study(ready, [trial], Silent())
    path = ready.result(trial)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"seed-1\.json.*truncated"):
        run_study(ready, [trial], Silent())
    values = json.loads(whole)
    values["validations"][0]["map"]["right"].pop()
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(DataError, match=r"map\.right has"):
        read_result(path)


def test_a_second_process_is_refused(ready: Study, played: list[Trial]) -> None:
    with runner._locked(ready.work), pytest.raises(ConfigError, match="--work"):
        run_study(ready, ready.trials(ARMS, 1), Silent())


@pytest.mark.parametrize("changed", ["code", "a question", "a network"])
def test_data_are_known_by_their_content(changed: str, prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(prepared / "data", folder)
    manifest = read_manifest(folder)
    if changed == "code":
        write_manifest(manifest.model_copy(update={"fingerprint": "0"}), folder)
    elif changed == "a question":
        path = folder / "test.parquet"
        rows = pq.read_table(path)
        pq.write_table(rows.slice(1), path)
    else:
        path = folder / manifest.maps[0].network
        path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    same = content_digest(folder) == content_digest(prepared / "data")
    assert same == (changed == "code")


def test_missing_rows_are_named(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "data", tmp_path / "data")
    (tmp_path / "data" / "train.parquet").unlink()
    with pytest.raises(DataError, match=r"train\.parquet"):
        content_digest(tmp_path / "data")


def test_the_blank_control_differs_only_in_images(prepared: Path, tmp_path: Path) -> None:
    from PIL import Image

    seen, blank = (read_questions(prepared / name).items for name in ("data", "blank"))
    for one, other in zip(seen, blank, strict=True):
        assert one.prompt == other.prompt
        assert (one.truth.answer, one.truth.plans) == (other.truth.answer, other.truth.plans)
        assert one.gold != other.gold and BLANK_MARK in other.gold
        assert one.data_source != other.data_source
        assert one.image is not None and other.image is not None
        with Image.open(one.image) as first, Image.open(other.image) as second:
            assert first.size == second.size
            assert len(second.getcolors() or []) == 1
            assert len(first.convert("RGB").getcolors(1 << 16) or []) > 1
    stamp = (prepared / "blank/manifest.json").stat().st_mtime_ns
    write_blank(prepared / "data", prepared / "blank")
    assert (prepared / "blank/manifest.json").stat().st_mtime_ns == stamp, "made once"


def test_a_model_of_other_settings_is_refused(
    ready: Study, monkeypatch: pytest.MonkeyPatch, protocol_values: dict[str, Any]
) -> None:
    made: list[str] = []

    def make(command: Sequence[str], *_: object, **__: object) -> float:
        words = list(command[3:])
        folder = Path(words[words.index("--out") + 1])
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        made.append(folder.name)
        return 1.0

    monkeypatch.setattr(setup, "run_subprocess", make)
    trials = ready.trials(("rewardmap", "sft_then_rl"), 2)
    rest: tuple[Any, ...] = (trials, lambda _: None, 1, threading.Event())
    setup.make_models(ready, *rest)
    assert made == ["start", "sft_then_rl", "sft_then_rl"]
    setup.make_models(ready, *rest)
    assert len(made) == 3, "made once"
    protocol_values["model"]["cold_start"] = ["--steps 7"]
    changed = replace(ready, protocol=type(ready.protocol).model_validate(protocol_values))
    with pytest.raises(ConfigError, match=r"start: found.*Delete it"):
        setup.make_models(changed, *rest)
    protocol_values["model"]["cold_start"] = ["--steps 7 --type planning", "--steps 3"]
    two = replace(
        ready,
        protocol=type(ready.protocol).model_validate(protocol_values),
        work=ready.work.parent / "two",
    )
    two.work.mkdir()
    (two.work / "data").symlink_to(ready.data.resolve())
    made.clear()
    setup.make_models(two, ready.trials(("rewardmap",), 1), *rest[1:])
    assert made == ["start-0", "start-1", "start"], "each cold start continues from the one before"


def test_runs_in_parallel(ready: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs overlap, and their results keep the order of the runs."""
    meeting = threading.Barrier(2, timeout=30)

    def run(command: Sequence[str], log: Path, *_: Any) -> float:
        meeting.wait()
        seed = int(log.parent.name.removeprefix("seed-"))
        play_run(ready, Trial(log.parent.parent.name, seed), ready.budget.steps)
        return 60.0

    monkeypatch.setattr(runner, "run_subprocess", run)
    trials = ready.trials(ARMS, 1)
    results = run_study(ready, trials, Silent(), jobs=2)
    assert [one.arm for one in results] == list(ARMS)


def test_a_failure_stops_parallel_runs(tmp_path: Path) -> None:
    stop = threading.Event()
    marker = tmp_path / "pid"

    def long() -> float:
        return run_subprocess(sleeper(marker), tmp_path / "long.txt", 100, stop=stop)

    def failing() -> float:
        while not marker.exists():
            time.sleep(0.05)
        return run_subprocess(
            [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "short.txt", 50
        )

    begin = time.monotonic()
    with pytest.raises(ConfigError, match="exit status 3"):
        run_parallel(2, stop, [long, failing])
    assert time.monotonic() - begin < 60
    assert gone(int(marker.read_text()))


def sleeper(marker: Path) -> list[str]:
    """Return a program that starts a sleeping child and then sleeps."""
    inner = "import time; time.sleep(120)"
    text = (
        "import pathlib, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {inner!r}], start_new_session=True)\n"
        f"pathlib.Path({str(marker)!r}).write_text(str(child.pid))\n"
        "time.sleep(120)"
    )
    return [sys.executable, "-c", text]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("how", ["interrupted", "too long"])
def test_no_descendant_survives(how: str, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    begin = time.monotonic()

    def poll() -> None:
        if how == "interrupted" and marker.is_file() and marker.read_text():
            raise KeyboardInterrupt

    expected: Any = KeyboardInterrupt if how == "interrupted" else ConfigError
    with pytest.raises(expected):
        run_subprocess(sleeper(marker), tmp_path / "log.txt", 4.0, poll=poll)
    assert time.monotonic() - begin < 60
    assert gone(int(marker.read_text()))


def test_a_failure_shows_the_last_lines(tmp_path: Path) -> None:
    words: list[str] = [sys.executable, "-c", "print('here it is'); raise SystemExit(3)"]
    with pytest.raises(ConfigError) as caught:
        run_subprocess(words, tmp_path / "log.txt", 30.0)
    assert "exit status 3" in str(caught.value)
    assert "here it is" in str(caught.value)
