"""Keep a model's vision tower, projector included, frozen if its configuration says so.

Upstream: no code of verl 0.9.1 reads ``actor.freeze_vision_tower``, and there is no extension point
between building a model and sharding it. So the key ``freeze_vision_tower`` of the model's own
configuration is respected. The option ``frozen_vision`` of the recipe sets it; in verl's SFT
trainer it is ``+model.override_config.freeze_vision_tower=True``. A tiny model with a pretrained
tower (``rewardmap_verl.tiny_model.vision_pretraining``) would otherwise forget what it has learned
to see while it learns to answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rewardmap_verl.patching import Patch

__all__ = ["KEY", "PATCH", "freeze_if_configured"]

KEY = "freeze_vision_tower"


def freeze_if_configured(module: Any) -> int:
    """Freeze the vision tower of a model whose configuration asks for it.

    Returns:
        The number of parameters that were frozen.
    """
    if not getattr(module.config, KEY, False):
        return 0
    frozen = list(module.model.visual.parameters())
    for weight in frozen:
        weight.requires_grad_(False)
    return len(frozen)


def freeze_then_shard(shard: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap verl's function that shards a model with FSDP2."""

    @functools.wraps(shard)
    def freeze_and_shard(model: Any, *args: Any, **kwargs: Any) -> Any:
        freeze_if_configured(model)
        return shard(model, *args, **kwargs)

    return freeze_and_shard


PATCH = Patch(
    target="verl.utils.fsdp_utils:apply_fsdp2",
    signature="(model, fsdp_kwargs, config)",
    replacement=freeze_then_shard,
    reason="No code reads freeze_vision_tower, so a pretrained tower is trained along.",
    upstream="verl issue 2526: freeze the vision tower in full-parameter training.",
    seen_in="verl 0.9.1",
)
