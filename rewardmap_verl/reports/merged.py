"""Is a merged model the trained one? Its weights are compared with the checkpoint's, one by one.

The merged folder is loaded as a user loads it, so that renamed, missing or badly joined tensors are
found whatever wrote them; the shards of the checkpoint are joined here and not by verl's merger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.checkpoints.folders import TRACKER
from rewardmap_verl.checkpoints.fsdp_checkpoint import join_shards, shard_files
from rewardmap_verl.errors import DataError

__all__ = ["WeightComparison", "compare_weights", "compare_with_checkpoint"]


@dataclass(frozen=True, slots=True)
class WeightComparison:
    """What was found."""

    tensors: int
    """Tensors that are equal, in the number format of the merged model."""
    missing: tuple[str, ...]
    """Tensors of the checkpoint that the merged model has not."""
    strange: tuple[str, ...]
    """Tensors of the merged model that the checkpoint has not."""
    different: tuple[str, ...]
    """Tensors with another shape or other numbers."""

    @property
    def same(self) -> bool:
        """Whether the two are one model."""
        return self.tensors > 0 and not (self.missing or self.strange or self.different)


def compare_with_checkpoint(checkpoint: Path, model: Path) -> WeightComparison:
    """Compare a merged folder with the checkpoint that it was made of.

    Args:
        checkpoint: A run's checkpoints (the newest one is taken), a ``global_step_N``, or a folder
            with shards.
        model: The merged folder.

    Raises:
        DataError: There are no shards, some are missing, or they hold adapters.
    """
    from transformers import AutoModelForImageTextToText

    if not (model / "config.json").is_file():
        raise DataError(model, found="no config.json", hint="Give the merged model's folder.")
    trained = join_shards(_find_shards(checkpoint))
    if any("lora_" in name for name in trained):
        hint = "Adapters are folded into the weights, so compare answers with `rewardmap evaluate`."
        raise DataError(checkpoint, found="adapters (LoRA)", hint=hint)
    merged = AutoModelForImageTextToText.from_pretrained(model, dtype="auto").state_dict()
    return compare_weights(trained, merged)


def compare_weights(trained: Mapping[str, Any], merged: Mapping[str, Any]) -> WeightComparison:
    """Compare tensors by name; numbers are compared as the merged model keeps them."""
    import torch

    both = [name for name in trained if name in merged]
    different = tuple(
        name
        for name in both
        if trained[name].shape != merged[name].shape
        or not torch.equal(trained[name].to(merged[name].dtype), merged[name])
    )
    return WeightComparison(
        tensors=len(both) - len(different),
        missing=tuple(sorted(set(trained) - set(merged))),
        strange=tuple(sorted(set(merged) - set(trained))),
        different=different,
    )


def _find_shards(folder: Path) -> list[Path]:
    """The model's shards in order of rank."""
    tracker = folder / TRACKER
    if tracker.is_file():
        return _find_shards(folder / f"global_step_{tracker.read_text('utf-8').strip()}")
    if (folder / "checkpoints" / TRACKER).is_file():
        return _find_shards(folder / "checkpoints")
    for place in (folder / "actor", folder):
        if found := shard_files(place):
            return found
    raise DataError(folder, found="no shards", hint="Give a run's checkpoints or a global_step_N.")
