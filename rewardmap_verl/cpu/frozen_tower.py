"""A vision tower that stays as it is.

Upstream: nobody reads ``actor.freeze_vision_tower``, a key of verl's configuration (verl 0.9.1). A
tiny model whose tower has been taught to see (:mod:`rewardmap_verl.tiny_model.vision_pretraining`) forgets it
while it learns to answer, so on the CPU the key ``freeze_vision_tower`` of a model's own
configuration is heeded: ``+actor_rollout_ref.model.override_config.freeze_vision_tower=True``, in
verl's SFT trainer ``+model.override_config.freeze_vision_tower=True``. Real models have adapters
for it (``+recipe/rewardmap=[lora]``).
"""

from __future__ import annotations

from typing import Any

KEY = "freeze_vision_tower"


def freeze_if_asked(module: Any) -> int:
    """Freeze the vision tower of a model whose configuration asks for it.

    Returns:
        The number of tensors that no longer train.
    """
    if not getattr(module.config, KEY, False):
        return 0
    frozen = list(module.model.visual.parameters())
    for weight in frozen:
        weight.requires_grad_(False)
    return len(frozen)
