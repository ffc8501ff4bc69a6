"""Compare the weights of a merged model with those of its checkpoint.

The merged folder is loaded as a user loads it, so that renamed, missing or wrongly joined tensors
are detected. The shards of the checkpoint are joined by our own code, not by verl's merger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.checkpoints.folders import TRACKER, latest_step
from rewardmap_verl.checkpoints.fsdp_checkpoint import join_shards, shard_files
from rewardmap_verl.checkpoints.merge import load_model
from rewardmap_verl.errors import DataError

__all__ = ["WeightComparison", "compare_weights", "compare_with_checkpoint"]


@dataclass(frozen=True, slots=True)
class WeightComparison:
    """The result of a comparison of weights."""

    tensors: int
    """Number of equal tensors, in the dtype of the merged model."""
    missing: tuple[str, ...]
    """Tensors of the checkpoint that the merged model lacks."""
    strange: tuple[str, ...]
    """Tensors of the merged model that the checkpoint lacks."""
    different: tuple[str, ...]
    """Tensors with another shape or other values."""

    @property
    def same(self) -> bool:
        """Whether the two are the same model."""
        return self.tensors > 0 and not (self.missing or self.strange or self.different)


def compare_with_checkpoint(checkpoint: Path, model: Path) -> WeightComparison:
    """Compare a merged folder with its checkpoint.

    Args:
        checkpoint: A run's checkpoints (the newest one counts), a ``global_step_N``, or a folder
            of shards.
        model: The merged folder.

    Raises:
        DataError: There are no shards, some are missing, or they contain adapters.
        ConfigError: transformers cannot load the merged model.
    """
    if not (model / "config.json").is_file():
        raise DataError(model, found="no config.json", hint="Give the merged model's folder.")
    trained = join_shards(_find_shards(checkpoint))
    if any("lora_" in name for name in trained):
        hint = "Adapters are merged into the weights, so compare answers with `rewardmap evaluate`."
        raise DataError(checkpoint, found="adapters (LoRA)", hint=hint)
    return compare_weights(trained, load_model(model, "auto").state_dict())


def compare_weights(trained: Mapping[str, Any], merged: Mapping[str, Any]) -> WeightComparison:
    """Compare tensors by name, in the dtype of the merged model."""
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
    """Return the model's shards in order of rank."""
    if (folder / TRACKER).is_file():
        return _find_shards(folder / f"global_step_{latest_step(folder)}")
    if (folder / "checkpoints" / TRACKER).is_file():
        return _find_shards(folder / "checkpoints")
    for place in (folder / "actor", folder):
        if found := shard_files(place):
            return found
    raise DataError(folder, found="no shards", hint="Give a run's checkpoints or a global_step_N.")
