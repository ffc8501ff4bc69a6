"""Rollout and actor agree on trajectories with several pictures.

vLLM's log-probabilities of each turn are compared in fp32 with those of the actor: the model in one
process, and verl's FSDP2 engine on two data-parallel ranks, padded and packed. The actor gets the
position ids, pixels and masks that verl would send.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.tiny_model.build import TinyModelSize, make_config, make_model

pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).resolve().parent
BENCHMARKS = HERE.parents[1] / "benchmarks"
RANKS = 2


@pytest.fixture(scope="module")
def folder(processor: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and vLLM's trajectories about a map: ``result.json``, ``trajectories.pt``."""
    place = tmp_path_factory.mktemp("agreement")
    model = make_model(make_config(processor, TinyModelSize()), seed=1)
    with torch.no_grad():
        for weight in model.parameters():  # a fresh model is nearly indifferent to its input
            if weight.dim() > 1:
                weight.mul_(2.0)
    model.save_pretrained(place / "model")
    processor.save_pretrained(place / "model")
    noise = np.random.default_rng(3).integers(0, 256, (560, 420, 3), dtype=np.uint8)
    (place / "images").mkdir()
    Image.fromarray(noise).resize((84, 112)).save(place / "images" / "map.png")
    original = place / store_original(Image.fromarray(noise), "images/map.png", place)
    run([start("zoom_agreement.py", place, place / "images" / "map.png", original)])
    return place


def start(program: str, *words: object) -> subprocess.Popen[str]:
    paths = os.pathsep.join(map(str, (HERE, BENCHMARKS)))
    return subprocess.Popen(
        [sys.executable, str(HERE / program), *map(str, words)],
        env={
            **os.environ,
            "PYTHONPATH": paths,
            "VERL_PLATFORM": "cpu",
            "VLLM_CPU_KVCACHE_SPACE": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(programs: Sequence[subprocess.Popen[str]]) -> None:
    """Wait for programs, which must succeed."""
    try:
        outputs = [one.communicate(timeout=840)[0] for one in programs]
    finally:
        for one in programs:
            one.kill()
    failed = [said[-4000:] for one, said in zip(programs, outputs, strict=True) if one.returncode]
    assert not failed, "\n".join(failed)


def compare(one: dict[str, Any], actor: Sequence[float]) -> None:
    """Compare the log-probabilities of a trajectory's response."""
    own = np.asarray(one["mask"], bool)
    assert len(own) == len(one["rollout"]) == len(actor)
    rollout, mine = np.asarray(one["rollout"])[own], np.asarray(actor)[own]
    assert rollout.std() > 0.1, "otherwise a correlation says nothing"
    assert np.corrcoef(np.exp(rollout), np.exp(mine))[0, 1] > 0.999
    assert np.abs(rollout - mine).max() < 1e-3
    assert not np.asarray(one["rollout"])[~own].any()


def test_log_probs_agree_for_one_two_and_three_pictures(folder: Path) -> None:
    found = json.loads((folder / "result.json").read_text())
    assert [one["pictures"] for one in found] == [1, 2, 3, 3]
    for one in found:
        assert all(one["same_tokens"]) and len(one["same_tokens"]) == one["pictures"]
        compare(one, one["actor"])


def test_log_probs_agree_on_two_ranks(folder: Path) -> None:
    """Each rank has another number of pictures: one and three, two and three."""
    found = json.loads((folder / "result.json").read_text())
    run([start("zoom_agreement_rank.py", folder, rank) for rank in range(RANKS)])
    for rank in range(RANKS):
        result = json.loads((folder / f"{rank}.json").read_text())
        for engine in ("padded", "packed"):
            share = zip(found[rank::RANKS], result[engine], strict=True)
            for one, values in share:
                compare(one, values[one["start"] :])
