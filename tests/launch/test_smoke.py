"""The smoke run: two programs, judged by what they print. Stand-ins print it here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from rewardmap_verl.launch.smoke import Pass, SmokeCallback, faults, read_metrics, smoke

CORRELATION = "training/rollout_actor_probs_pearson_corr"
PROGRAM = """
import os, sys
from pathlib import Path
words = dict(word.split("=", 1) for word in sys.argv[1:])
last = int(words["trainer.total_training_steps"])
folder = Path(words["trainer.default_local_dir"])
saved = [int(path.name.rpartition("_")[2]) for path in folder.glob("global_step_*")]
assert os.environ["REWARDMAP_SMOKE"]
for step in range(max(saved, default=0) + 1, last + 1):
    value = words.get("correlation", "0.9995")
    text = f"step:{step} - training/rollout_actor_probs_pearson_corr:np.float64({value}) - "
    text += "timing_s/step:12.5"
    if step == last and words.get("trainer.test_freq") != "-1":
        text += " - val-core/rewardmap/acc/mean@1:0.25"
    print("(TaskRunner pid=7)", text)
    (folder / f"global_step_{step}").mkdir()
if words.get("fail") == str(last):
    sys.exit("ConfigError: rewardmap: no room on the device")
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    return [sys.executable, str(program)]


def test_success_is_one_line_and_leaves_no_checkpoint(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(command, tmp_path / "run") == 0
    first, last = capsys.readouterr().err.splitlines()
    assert "smoke.log" in first
    assert last.startswith("smoke: passed: 2 steps, 1 validation, saved and resumed")
    assert "agree (0.99950)" in last
    assert "12 s for step 2" in last
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["smoke.log"]


def test_failure_shows_its_cause_and_keeps_the_checkpoint(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke([*command, "fail=2"], tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "no room on the device" in said
    assert "run 2 of 2 ended with exit code 1" in said
    assert (tmp_path / "run/global_step_1").is_dir()


def test_second_program_is_not_started_after_a_failure(command: list[str], tmp_path: Path) -> None:
    assert smoke([*command, "fail=1"], tmp_path / "run") == 1
    assert not (tmp_path / "run/global_step_2").exists()


@pytest.mark.parametrize("value", ["0.8", "nan"])
def test_disagreement_fails(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert smoke([*command, f"correlation={value}"], tmp_path / "run") == 1
    assert "rollout and actor disagree" in capsys.readouterr().err


def test_missing_resume_and_validation_are_faults() -> None:
    good = {CORRELATION: 1.0}
    found = list(faults([Pass(0, {1: good}), Pass(0, {1: good, 2: good})]))
    assert found == ["the second run did not resume the first", "there was no validation"]
    assert "did not report step 1" in next(faults([Pass(0)]))


def test_metrics_of_verls_console_logger_are_read() -> None:
    lines = ["loading", "step:3 - a/b:1e-05 - c@1:np.float32(-0.5) - perf/mfu/actor:0.25"]
    assert read_metrics(iter(lines)) == {3: {"a/b": 1e-5, "c@1": -0.5, "perf/mfu/actor": 0.25}}


def test_callback_ends_the_program_of_the_user(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = OmegaConf.create({"trainer": {"default_local_dir": str(tmp_path / "runs")}})
    monkeypatch.setattr(sys, "orig_argv", ["python", *command[1:]])
    with pytest.raises(SystemExit) as stop:
        SmokeCallback().on_run_start(config)
    assert stop.value.code == 0
    monkeypatch.setenv("REWARDMAP_SMOKE", "1")
    SmokeCallback().on_run_start(config)  # its own programs train
