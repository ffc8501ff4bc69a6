"""What is done to a model's vision tower before verl shards the model with FSDP2.

verl 0.9.1 has no extension point between building a model and sharding it; see
:mod:`~.frozen_tower` and :mod:`~.shared_maps` for what is done there, and why.
Each goes with its line below.
"""

from __future__ import annotations

import functools
from typing import Any

from rewardmap_verl.cpu.frozen_tower import freeze_if_asked
from rewardmap_verl.cpu.shared_maps import share_maps

_APPLIED = "_rewardmap_prepares_towers"


def apply() -> None:
    """Wrap verl's function that shards a model."""
    from verl.utils import fsdp_utils

    if hasattr(fsdp_utils.apply_fsdp2, _APPLIED):
        return
    shard = fsdp_utils.apply_fsdp2

    @functools.wraps(shard)
    def prepare_and_shard(model: Any, *arguments: Any, **options: Any) -> Any:
        freeze_if_asked(model)
        share_maps(model)
        return shard(model, *arguments, **options)

    setattr(prepare_and_shard, _APPLIED, True)
    fsdp_utils.apply_fsdp2 = prepare_and_shard
