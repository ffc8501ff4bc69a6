"""Two real steps of each family of recipes, with the tiny model on a CPU.

The families that only change numbers of the reward share the code of the main run; the baseline
without them, with all types shuffled together, is what the run on a cluster trains.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.curriculum.record import RECORD_NAME, read_record

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(1500)]


def stages(run: Path) -> list[str]:
    """The stage of each training step."""
    steps = [entry for entry in read_record(run / RECORD_NAME) if entry.part == "train"]
    return [entry.groups[0].stage for entry in sorted(steps, key=lambda one: one.step)]


def weights(folder: Path) -> dict[str, Any]:
    from transformers import AutoModelForImageTextToText

    return dict(AutoModelForImageTextToText.from_pretrained(folder).named_parameters())


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Names of weights that differ by more than rounding to half precision does."""
    return {
        name
        for name, values in before.items()
        if not values.float().allclose(after[name].float(), rtol=0.01, atol=1e-4)
    }


@pytest.fixture(scope="module")
def tuned(stack: Any, prepared: Path) -> Path:
    """The tiny model after two steps of verl's SFT trainer, adapters folded into its weights."""
    done = stack.run(
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"),
        *("-m", "verl.trainer.sft_trainer", "+recipe=rewardmap_sft"),
        "+recipe/rewardmap_sft=[cpu]",
        f"data.folder={prepared / 'data'}",
        f"model.path={prepared / 'model'}",
        *("trainer.default_local_dir=sft", "trainer.total_training_steps=2"),
        *("trainer.logger=[console]", "optim.lr=0.05"),
        timeout=400,
        environment={"VERL_PLATFORM": "cpu"},
    )
    assert done.code == 0, done.output[-6000:]
    assert sorted(done.steps) == [1, 2]
    stack.rewardmap("merge", "sft", "--out", "tuned")
    merged: Path = stack.folder / "tuned"
    return merged


def test_fine_tuning_changes_language_and_projector(tuned: Path, prepared: Path) -> None:
    """The paper's adapters: language blocks and projector, not the blocks of the vision tower."""
    moved = changed(weights(prepared / "model"), weights(tuned))
    assert any("language_model.layers" in name for name in moved)
    assert any("visual.merger" in name for name in moved)
    assert not any("visual.blocks" in name or "patch_embed" in name for name in moved)
    assert not (tuned / "lora_adapter").exists()


def test_planning_after_fine_tuning_with_reinforce(stack: Any, small: Any, tuned: Path) -> None:
    """sft_then_rl, planning_only's one stage, and reinforce_plus_plus."""
    done = stack.train(
        *small("after", 2, "trainer.save_freq=-1", model=tuned),
        recipe="cpu,sft_then_rl,reinforce_plus_plus",
    )
    assert done.code == 0, done.output[-6000:]
    assert stages(stack.folder / "after") == ["planning", "planning"]
    assert sorted(done.steps) == [1, 2]
    types = {key.split("/")[2] for key in done.steps[2] if key.startswith("rewardmap/planning/")}
    assert types == {"planning"}


def test_adapters_and_a_curriculum_by_evidence(stack: Any, small: Any, prepared: Path) -> None:
    """lora; a stage that ends by what was answered, and rows that are passed over."""
    first = {"name": "first", "types": ["TorF1", "TorF2"], "promote": {"reach": 0.0, "patience": 1}}
    first["promote"]["window"] = 1  # type: ignore[index]
    rest = {"name": "rest", "types": ["Counting1", "Counting2", "Counting3", "planning"]}
    order = ["data.curriculum.skip_solved=1", f"data.curriculum.stages={flow([first, rest])}"]
    done = stack.train(*small("lora", 3, "trainer.save_freq=3", *order), recipe="cpu,lora")
    assert done.code == 0, done.output[-6000:]
    assert stages(stack.folder / "lora") == ["first", "rest", "rest"], "promoted after one step"
    assert [done.steps[step]["rewardmap/stage"] for step in (1, 2, 3)] == [1, 2, 2]
    saved = stack.folder / "lora/global_step_3/actor/lora_train_meta.json"
    assert json.loads(saved.read_text())["r"] == 64


def flow(value: Any) -> str:
    """A value as Hydra reads it on the command line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(one)}" for key, one in value.items()) + "}"
    return f"[{', '.join(map(flow, value))}]" if isinstance(value, list) else str(value)
