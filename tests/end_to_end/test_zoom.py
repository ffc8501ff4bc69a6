"""Training with the zoom tool on real maps: traces, a supervised start, two steps of every stage.

Positions on real maps are unknown, so the traces look through halves of the map. The first stage
forbids the tool.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.curriculum.record import RECORD_NAME, read_record
from tests.end_to_end.test_recipe_families import flow

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(3000)]

CITIES = {
    "train": ("malaysia/kl", "norway/oslo", "china/dalian", "china/nanning", "america/washington"),
    "test": ("america/miami", "switzerland/geneva"),
}
STAGES = [
    {"name": "judgment", "types": ["TorF1", "TorF2"], "steps": 2, "zoom": False},
    {"name": "counting", "types": ["Counting2", "Counting3"], "steps": 2},
    {"name": "choice", "types": ["Counting1"], "steps": 2},
    {"name": "planning", "types": ["planning"], "steps": 2},
]
ZOOM = ("max_calls=2", "max_pixels=12544", "min_pixels=7056", "describe=false")
CORRELATION = "training/rollout_actor_probs_pearson_corr"


@pytest.fixture(scope="module")
def folder(stack: Any, cities: Any) -> Path:
    """Seven real maps with their originals, traces about them, and a model trained on these."""
    root = str(cities((*CITIES["train"], *CITIES["test"])))
    held_out = [word for place in CITIES["test"] for word in ("--test-city", place)]
    stack.rewardmap(
        *("prepare", "local", "--root", root, "--keep-originals", "--size", "tiny"),
        *(*held_out, "--out", "data"),
    )
    settings = [word for setting in ZOOM for word in ("--zoom", setting)]
    stack.rewardmap(
        *("export", "data", "verl", "--reasoning", "zoom", *settings, "--out", "traces")
    )
    traces = "traces/train.parquet"
    stack.rewardmap("tiny-model", "data", "--traces", traces, "--out", "untrained")
    stack.rewardmap(
        *("cold-start", "untrained", "data", "--out", "model", "--traces", traces, "--steps", "60"),
        *("--override", "data.max_length=2048"),
        timeout=900,
    )
    found: Path = stack.folder
    return found


@pytest.fixture(scope="module")
def trained(stack: Any, folder: Path) -> Any:
    """The run: two steps of every stage, and the metrics that verl printed."""
    done = stack.train(
        *(f"data.folder={folder / 'data'}", f"actor_rollout_ref.model.path={folder / 'model'}"),
        *("trainer.default_local_dir=run", "data.train_batch_size=4"),
        *("actor_rollout_ref.rollout.n=4", f"data.curriculum.stages={flow(STAGES)}"),
        *("data.curriculum.replay=0", "data.filter_overlong_prompts=False"),
        *("trainer.val_before_train=False", "trainer.test_freq=-1", "trainer.save_freq=-1"),
        "trainer.logger=[console]",
        recipe="cpu,zoom_cpu",
        timeout=1500,
    )
    assert done.code == 0, done.output[-6000:]
    return done


def metric(trained: Any, stage: str, name: str) -> list[float]:
    """A metric of all types of a stage, for each of its steps."""
    return [
        value
        for step in sorted(trained.steps)
        for key, value in trained.steps[step].items()
        if key.startswith(f"rewardmap/{stage}/") and key.endswith(f"/{name}")
    ]


def test_every_stage_is_trained_for_two_steps(trained: Any, stack: Any) -> None:
    entries = [
        one for one in read_record(stack.folder / "run" / RECORD_NAME) if one.part == "train"
    ]
    stages = [entry.groups[0].stage for entry in sorted(entries, key=lambda one: one.step)]
    assert stages == [stage["name"] for stage in STAGES for _ in range(2)]


def test_stages_that_allow_the_tool_use_it(trained: Any) -> None:
    assert sum(metric(trained, "judgment", "zoom_calls")) == 0
    for stage in ("counting", "choice", "planning"):
        assert max(metric(trained, stage, "zoom_used")) > 0.25
        assert max(metric(trained, stage, "zoom_calls")) > 0.5
        assert all(0 < area <= 1 for area in metric(trained, stage, "zoom_area"))
        assert metric(trained, stage, "acc_with_zoom")


def test_rollout_and_actor_agree_with_several_pictures(trained: Any) -> None:
    assert min(values[CORRELATION] for values in trained.steps.values()) > 0.999
    assert trained.steps[1]["actor/kl_loss"] == pytest.approx(0, abs=1e-6)


def test_the_answers_that_were_saved_have_their_turns(trained: Any, stack: Any) -> None:
    rows = [
        json.loads(line)
        for path in (stack.folder / "run" / "rollouts").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert any(row["output"].count("</tool_call>") == 2 for row in rows)


def test_evaluation_zooms_with_a_real_engine(stack: Any, folder: Path) -> None:
    settings = [word for setting in ZOOM for word in ("--zoom", setting)]
    stack.rewardmap(
        *("evaluate", "model", "data", "--tool", "zoom", *settings, "--limit", "12"),
        *("--max-tokens", "256", "--no-baselines", "--out", "answers"),
        timeout=900,
    )
    log = (folder / "answers" / "answers.jsonl").read_text(encoding="utf-8")
    _, *answers = map(json.loads, log.splitlines())
    assert len(answers) == 12
    zoomed = [one for one in answers if "Box [" in one["transcript"]]
    assert len(zoomed) >= 3, "the tool names the box of a crop that it returns"
