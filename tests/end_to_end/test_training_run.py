"""The main job in small, as ``rewardmap train``: embedded maps, tiny model, all stages, a merge.

What stops a run, and how it goes on, is in ``test_failures.py``.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.curriculum.record import RECORD_NAME, Entry, read_record
from tests.end_to_end.conftest import printed_steps

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1500)]

BATCH = 8
STEPS_OF_STAGE = {"judgment": 2, "counting": 2, "choice": 2, "planning": 1}
STEPS = sum(STEPS_OF_STAGE.values())
CHECKPOINTS = "whole/checkpoints"
CORRELATION = "training/rollout_actor_probs_pearson_corr"


@pytest.fixture(scope="module")
def settings(prepared: Path) -> list[str]:
    """The settings of the run."""
    return [
        f"data.folder={prepared / 'data'}",
        f"actor_rollout_ref.model.path={prepared / 'model'}",
        f"data.train_batch_size={BATCH}",
        "actor_rollout_ref.rollout.n=4",
        "data.curriculum.replay=0",
        "actor_rollout_ref.rollout.val_kwargs.do_sample=False",  # so that answers can be compared
        "actor_rollout_ref.rollout.val_kwargs.temperature=0",
    ]


def training(folder: Path) -> dict[int, Entry]:
    """The record's training steps."""
    return {one.step: one for one in read_record(folder / RECORD_NAME) if one.part == "train"}


@pytest.fixture(scope="module")
def whole(stack: Any, settings: list[str]) -> Any:
    """A run that nothing interrupts, and the metrics of its steps in the complete output."""
    call = ("train", "--option", "cpu", "--out", "whole", "--every", "1")
    done = stack.rewardmap(*call, *settings, timeout=900)
    log = (stack.folder / "whole" / "train.log").read_text(encoding="utf-8", errors="replace")
    done.steps = printed_steps(log)
    return done


def test_every_stage_is_trained_in_order_to_its_last_batch(whole: Any, stack: Any) -> None:
    entries = training(stack.folder / CHECKPOINTS)
    assert sorted(entries) == list(range(1, STEPS + 1))
    stages = [{group.stage for group in entries[step].groups} for step in sorted(entries)]
    assert stages == [{name} for name, count in STEPS_OF_STAGE.items() for _ in range(count)]
    assert sorted(whole.steps) == list(range(STEPS + 1)), "step 0 is the validation before"


def test_the_terminal_shows_each_step_and_the_results(whole: Any, stack: Any) -> None:
    lines = whole.output.splitlines()
    assert len(lines) < 80 and max(map(len, lines)) < 1500, whole.output
    steps = [line.split()[:2] for line in lines if re.match(rf"\d/{STEPS} ", line)]
    stages = [name for name, count in STEPS_OF_STAGE.items() for _ in range(count)]
    assert steps == [[f"{n}/{STEPS}", stage] for n, stage in enumerate(stages, 1)]
    for text in ("vLLM is running", "validation after 0 steps", "Accuracy on held-out maps"):
        assert text in whole.output


def test_every_row_is_seen_once(whole: Any, stack: Any, prepared: Path) -> None:
    import pyarrow.parquet as pq

    seen = Counter(
        group.row
        for entry in training(stack.folder / CHECKPOINTS).values()
        for group in entry.groups
        if not group.repeat
    )
    assert seen == Counter(range(pq.read_metadata(prepared / "data/train.parquet").num_rows))


def test_rollout_and_actor_agree_and_the_policy_moves(whole: Any) -> None:
    steps = [values for step, values in sorted(whole.steps.items()) if step > 0]
    assert min(values[CORRELATION] for values in steps) > 0.999
    losses = [values["actor/kl_loss"] for values in steps]
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert max(losses) > 1e-5


def test_rewards_are_not_all_zero_and_reach_the_loggers(whole: Any) -> None:
    keys = {key for values in whole.steps.values() for key in values}
    for kind in ("judgment/TorF1", "counting/Counting3", "choice/Counting1", "planning/planning"):
        assert {f"rewardmap/{kind}/{figure}" for figure in ("score", "acc", "no_signal")} <= keys
    scores = [values["critic/score/mean"] for step, values in whole.steps.items() if step > 0]
    assert max(scores) > 0
    assert any(key.startswith("val-core/rewardmap/") for key in whole.steps[STEPS])


def test_changed_settings_do_not_resume(whole: Any, stack: Any, settings: list[str]) -> None:
    folder = f"trainer.default_local_dir={CHECKPOINTS}"
    refused = stack.train(*settings, folder, "data.curriculum.seed=2", timeout=200)
    assert refused.code not in (0, None)
    assert "data.curriculum.seed" in refused.output
    assert "Traceback" not in refused.output
    assert "Started a local Ray instance" not in refused.output


def test_the_checkpoint_becomes_a_model(whole: Any, stack: Any, prepared: Path) -> None:
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    merged = stack.folder / "whole" / "merged"
    after = AutoModelForImageTextToText.from_pretrained(merged, dtype="auto")
    assert after.dtype is torch.float32, "as the rollouts were computed"
    before = AutoModelForImageTextToText.from_pretrained(
        prepared / "model", torch_dtype=torch.float32
    )
    moved = [
        not torch.equal(one, other)
        for one, other in zip(after.parameters(), before.parameters(), strict=True)
    ]
    assert sum(moved) > len(moved) / 2
    assert all(torch.isfinite(values).all() for values in after.parameters())
    AutoProcessor.from_pretrained(merged)


def test_the_merged_model_answers_like_the_trained_one(
    whole: Any, stack: Any, prepared: Path
) -> None:
    """vLLM asks it what the run's last validation asked; greedy answers are equal to the letter."""
    data = str(prepared / "data")
    call = (
        "check-merge",
        "whole",
        "whole/merged",
        "--data",
        data,
        "--answers",
        "24",
        "--agree",
        "1",
    )
    said = stack.rewardmap(*call).output
    assert "24 of 24 answers are equal" in said, said[-4000:]
    assert "WARNING" not in said, "the output of vLLM stays out of the terminal"


def test_the_preview_samples_answers_of_a_model(
    stack: Any, settings: list[str], prepared: Path
) -> None:
    recipe = ("+recipe=rewardmap", "+recipe/rewardmap=[cpu]")
    options = ("--model", str(prepared / "model"), "--limit", "4")
    said = stack.rewardmap("curriculum", "preview", *recipe, *settings, *options).output
    assert "groups of 4 sampled answers" in said and "Counting3" in said, said[-4000:]
    assert "WARNING" not in said


def test_the_summary_shows_every_stage(whole: Any, stack: Any) -> None:
    shown = stack.rewardmap("summary", "whole").output
    for word in (*STEPS_OF_STAGE, "TorF1", "Counting3", "planning", "no signal"):
        assert word in shown
