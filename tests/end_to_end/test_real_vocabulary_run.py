"""Training with the vocabulary of Qwen2.5 on real maps: two steps, a merge, an evaluation.

``tests/qwen_vocabulary.py`` gets the tokenizer. The model is narrow and its weights are random.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.tiny_model.build import TinyModelSize, make_config, make_model

pytestmark = [pytest.mark.end_to_end, pytest.mark.opt_in, pytest.mark.timeout(2400)]

CITIES = ("norway/oslo", "china/dalian", "america/miami")
HELD_OUT = CITIES[-1]
CORRELATION = "training/rollout_actor_probs_pearson_corr"
ANSWER_TOKENS = 64


@pytest.fixture(scope="module")
def data(stack: Any, cities: Any, qwen_processor: tuple[Any, Path]) -> dict[str, Any]:
    """Three real maps prepared with this tokenizer, and the manifest of the folder."""
    stack.rewardmap(
        *("prepare", "local", "--root", str(cities(CITIES)), "--size", "tiny"),
        *("--test-city", HELD_OUT),
        *("--tokenizer", str(qwen_processor[1]), "--out", "data"),
    )
    found: dict[str, Any] = json.loads((stack.folder / "data" / "manifest.json").read_text())
    return found


@pytest.fixture(scope="module")
def trained(stack: Any, data: dict[str, Any], qwen_processor: tuple[Any, Path]) -> Any:
    """Two steps of the CPU recipe with a model of this vocabulary."""
    processor, _ = qwen_processor
    model = stack.folder / "model"
    make_model(make_config(processor, TinyModelSize()), seed=0).save_pretrained(model)
    processor.save_pretrained(model)
    done = stack.train(
        *("data.folder=data", "actor_rollout_ref.model.path=model", "data.train_batch_size=4"),
        *("data.max_prompt_length=1024", f"data.max_response_length={ANSWER_TOKENS}"),
        *("actor_rollout_ref.rollout.n=4", "actor_rollout_ref.rollout.max_model_len=1088"),
        # Its embedding has 56 MB.
        "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes=64",
        *("trainer.total_training_steps=2", "trainer.default_local_dir=run"),
        *("trainer.val_before_train=False", "trainer.test_freq=-1", "trainer.logger=[console]"),
        timeout=1200,
    )
    assert done.code == 0, done.output[-6000:]
    return done


def test_two_steps_agree(trained: Any) -> None:
    assert sorted(trained.steps) == [1, 2]
    assert min(values[CORRELATION] for values in trained.steps.values()) > 0.999


def test_the_checkpoint_merges_and_is_evaluated(trained: Any, stack: Any) -> None:
    stack.rewardmap("merge", "run", "--out", "merged")
    stack.rewardmap(
        *("evaluate", "merged", "data", "--limit", "8", "--max-tokens", str(ANSWER_TOKENS)),
        *("--no-baselines", "--out", "answers"),
        timeout=900,
    )
    log = (stack.folder / "answers" / "answers.jsonl").read_text(encoding="utf-8")
    _, *answers = map(json.loads, log.splitlines())
    assert len(answers) == 8
