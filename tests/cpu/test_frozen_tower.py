"""The vision tower of a model whose configuration says so does not train."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rewardmap_verl.cpu import sharding
from rewardmap_verl.cpu.frozen_tower import KEY, freeze_if_asked


def model(**config: bool) -> SimpleNamespace:
    parts = SimpleNamespace(visual=torch.nn.Linear(2, 2), language_model=torch.nn.Linear(2, 2))
    return SimpleNamespace(config=SimpleNamespace(**config), model=parts)


def test_only_the_tower_is_frozen() -> None:
    asked = model(**{KEY: True})
    assert freeze_if_asked(asked) == 2
    assert not any(weight.requires_grad for weight in asked.model.visual.parameters())
    assert all(weight.requires_grad for weight in asked.model.language_model.parameters())


def test_nothing_is_frozen_unasked() -> None:
    for unasked in (model(), model(**{KEY: False})):
        assert freeze_if_asked(unasked) == 0
        assert all(weight.requires_grad for weight in unasked.model.visual.parameters())


def test_towers_are_prepared_before_verl_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    fsdp_utils = pytest.importorskip("verl.utils.fsdp_utils")
    seen = []

    def shard(given: Any, *rest: object) -> None:
        weights = list(given.model.visual.parameters())
        seen.append((weights[0].requires_grad, len(given.model.visual._forward_pre_hooks), rest))

    monkeypatch.setattr(fsdp_utils, "apply_fsdp2", shard)
    sharding.apply()
    sharding.apply()  # twice is harmless
    asked = model(**{KEY: True})
    asked.model.visual.spatial_merge_size = 2
    fsdp_utils.apply_fsdp2(asked, "options")
    assert seen == [(False, 1, ("options",))]


def test_verls_engine_shards_through_it_on_the_cpu() -> None:
    code = (
        "import verl\n"
        "from rewardmap_verl.verl_plugin import plugin\n"
        "from verl.workers.engine.fsdp import transformer_impl\n"
        "print(repr(plugin.PROBLEM), transformer_impl.apply_fsdp2.__wrapped__.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"VERL_PLATFORM": "cpu", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip().endswith("'' apply_fsdp2"), done.stderr[-2000:]
