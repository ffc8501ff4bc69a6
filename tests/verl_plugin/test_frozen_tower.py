"""The vision tower of a model whose configuration says so does not train."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import torch

from rewardmap_verl.verl_plugin.frozen_tower import KEY, PATCH, freeze_if_configured


def model(**config: bool) -> SimpleNamespace:
    parts = SimpleNamespace(visual=torch.nn.Linear(2, 2), language_model=torch.nn.Linear(2, 2))
    return SimpleNamespace(config=SimpleNamespace(**config), model=parts)


def test_only_the_tower_is_frozen() -> None:
    asked = model(**{KEY: True})
    assert freeze_if_configured(asked) == 2
    assert not any(weight.requires_grad for weight in asked.model.visual.parameters())
    assert all(weight.requires_grad for weight in asked.model.language_model.parameters())


def test_nothing_is_frozen_by_default() -> None:
    for unasked in (model(), model(**{KEY: False})):
        assert freeze_if_configured(unasked) == 0
        assert all(weight.requires_grad for weight in unasked.model.visual.parameters())


def test_the_tower_is_frozen_before_verl_shards() -> None:
    seen = []

    def shard(model: Any, fsdp_kwargs: Any, config: Any) -> None:
        weights = list(model.model.visual.parameters())
        seen.append((weights[0].requires_grad, fsdp_kwargs, config))

    PATCH.replacement(shard)(model(**{KEY: True}), "options", config="config")
    assert seen == [(False, "options", "config")]


def test_verls_engine_calls_the_patched_function_on_every_platform() -> None:
    code = (
        "import verl\n"
        "from rewardmap_verl.verl_plugin import plugin\n"
        "from verl.workers.engine.fsdp import transformer_impl\n"
        "print(repr(plugin.PROBLEM), transformer_impl.apply_fsdp2.__wrapped__.__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip().endswith("'' apply_fsdp2"), done.stderr[-2000:]
