"""Rollout and actor agree on trajectories with several pictures.

vLLM's log-probabilities of each turn are compared with those of the actor's model in fp32, with
the position ids, pixels and masks that verl would send to the actor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.tiny_model.build import TinyModelSize, make_config, make_model

PROGRAM = Path(__file__).with_name("zoom_agreement.py")


def test_log_probs_agree_for_one_two_and_three_pictures(processor: Any, tmp_path: Path) -> None:
    model = make_model(make_config(processor, TinyModelSize()), seed=1)
    with torch.no_grad():
        for weight in model.parameters():  # a fresh model is nearly indifferent to its input
            if weight.dim() > 1:
                weight.mul_(2.0)
    model.save_pretrained(tmp_path / "model")
    processor.save_pretrained(tmp_path / "model")
    noise = np.random.default_rng(3).integers(0, 256, (560, 420, 3), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(noise).resize((84, 112)).save(tmp_path / "images" / "map.png")
    original = tmp_path / store_original(Image.fromarray(noise), "images/map.png", tmp_path)
    names = [tmp_path / "model", tmp_path / "images" / "map.png", original, tmp_path / "result"]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, names)],
        env={**os.environ, "VERL_PLATFORM": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((tmp_path / "result").read_text())
    assert [one["pictures"] for one in found] == [1, 2, 3]
    for one in found:
        assert all(one["same_tokens"]) and len(one["same_tokens"]) == one["pictures"]
        own = np.asarray(one["mask"], bool)
        assert len(own) == len(one["rollout"]) == len(one["actor"])
        rollout, actor = np.asarray(one["rollout"])[own], np.asarray(one["actor"])[own]
        assert rollout.std() > 0.1, "otherwise a correlation says nothing"
        assert np.corrcoef(np.exp(rollout), np.exp(actor))[0, 1] > 0.999
        assert np.abs(rollout - actor).max() < 1e-3
        assert not np.asarray(one["rollout"])[~own].any()
