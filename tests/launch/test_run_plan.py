"""The command of a run: from data, options and overrides to verl's program."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.launch.run_plan import plan_run, recipe_options
from rewardmap_verl.preflight.compose import compose_run
from rewardmap_verl.preparation.atomic import exclusive_lock

SMALL = ("data.train_batch_size=4", "data.curriculum.replay=0")


def test_a_run_on_a_cpu(data_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "a run, 'one'"
    plan = plan_run(run, data_folder, "some/model", ["cpu", "lora"], SMALL)
    assert plan.command[:4] == (sys.executable, "-m", "verl.trainer.main_ppo", "+recipe=rewardmap")
    assert plan.command[4] == "+recipe/rewardmap=[cpu,lora]" and plan.command[-2:] == SMALL
    assert plan.variables["VERL_PLATFORM"] == "cpu"
    assert plan.variables["TENSORBOARD_DIR"] == str(run / "tensorboard")
    assert plan.record == run / "checkpoints" / "rewardmap_record.jsonl"
    assert plan.log == run / "train.log"
    assert plan.stages == ("judgment", "counting", "choice", "planning")
    assert plan.steps == 3 + 3 + 2 + 3, "the last batch of each stage is filled"
    config = compose_run(shlex.split(shlex.join(plan.words)))
    assert config.trainer.default_local_dir == str(run / "checkpoints"), "special characters"
    assert config.actor_rollout_ref.model.path == "some/model"


def test_a_run_on_gpus_keeps_the_user_s_variables(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORBOARD_DIR", "elsewhere")
    words = ("data.train_batch_size=4", "trainer.total_training_steps=7")
    plan = plan_run(Path("runs/x"), data_folder, overrides=words)
    assert plan.steps == 7
    assert set(plan.variables) == {"PYTHONUNBUFFERED"}


@pytest.mark.parametrize(
    ("options", "overrides", "message"),
    [
        (["lorra"], [], "--option: found 'lorra'. Did you mean 'lora'?"),
        (["cpu"], ["--verbos"], "have the form key=value"),
        (["cpu"], ["+recipe/rewardmap=[lora]"], "Use --option"),
        (["cpu"], ["trainer.default_local_dir=x"], "Use --out"),
        (["cpu"], ["data.train_batch_sise=8"], "Did you mean 'data.train_batch_size'?"),
        (["cpu"], ["data.train_batch_size=eight"], "data.train_batch_size: found 'eight'"),
        (["cpu"], ["data.train_max_samples=all"], "data.train_max_samples: found 'all'"),
        (
            ["cpu"],
            ["data.train_batch_size=4", "trainer.total_training_steps=x"],
            "trainer.total_training_steps: found 'x'",
        ),
    ],
)
def test_mistakes_are_named_with_their_fix(
    options: Sequence[str], overrides: Sequence[str], message: str, data_folder: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_run(Path("runs/x"), data_folder, None, options, overrides)
    assert message in str(caught.value)


def test_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no such local file"):
        plan_run(tmp_path / "run", tmp_path / "data")
    done = CliRunner().invoke(app, ["train", "--data", str(tmp_path / "data")])
    assert done.exit_code == 2 and "There is no such local file" in done.output


def test_one_process_trains_into_a_folder(data_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    words = ["train", "--data", str(data_folder), "--out", str(run), "--option", "cpu", *SMALL]
    with exclusive_lock(run):
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "Another process is writing" in " ".join(done.output.split())
    assert list(run.iterdir()) == []


def test_options_are_the_files_of_the_recipe() -> None:
    assert {"cpu", "lora", "one_gpu", "rl_baseline"} <= set(recipe_options())
