"""Is a merged model the trained one? Its weights are compared with the checkpoint's, one by one.

The merged folder is loaded as a user loads it, so that renamed, missing or badly joined tensors are
found whatever wrote them; the shards of the checkpoint are joined here and not by verl's merger.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError

__all__ = ["Comparison", "compare_weights", "compare_with_checkpoint", "join_shards"]

_SHARD = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")
_TRACKER = "latest_checkpointed_iteration.txt"


@dataclass(frozen=True, slots=True)
class Comparison:
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


def compare_with_checkpoint(checkpoint: Path, model: Path) -> Comparison:
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
        raise DataError(model, found="no config.json", mend="Give the merged model's folder.")
    trained = join_shards(_find_shards(checkpoint))
    if any("lora_" in name for name in trained):
        mend = "Adapters are folded into the weights, so compare answers with `rewardmap evaluate`."
        raise DataError(checkpoint, found="adapters (LoRA)", mend=mend)
    merged = AutoModelForImageTextToText.from_pretrained(model, dtype="auto").state_dict()
    return compare_weights(trained, merged)


def compare_weights(trained: Mapping[str, Any], merged: Mapping[str, Any]) -> Comparison:
    """Compare tensors by name; numbers are compared as the merged model keeps them."""
    import torch

    both = [name for name in trained if name in merged]
    different = tuple(
        name
        for name in both
        if trained[name].shape != merged[name].shape
        or not torch.equal(trained[name].to(merged[name].dtype), merged[name])
    )
    return Comparison(
        tensors=len(both) - len(different),
        missing=tuple(sorted(set(trained) - set(merged))),
        strange=tuple(sorted(set(merged) - set(trained))),
        different=different,
    )


def _find_shards(folder: Path) -> list[Path]:
    """The model's shards in order of rank."""
    tracker = folder / _TRACKER
    if tracker.is_file():
        return _find_shards(folder / f"global_step_{tracker.read_text('utf-8').strip()}")
    if (folder / "checkpoints" / _TRACKER).is_file():
        return _find_shards(folder / "checkpoints")
    for place in (folder / "actor", folder):
        found = {
            int(match[2]): (path, int(match[1]))
            for path in place.glob("model_world_size_*.pt")
            if (match := _SHARD.fullmatch(path.name))
        }
        if found:
            sizes = {size for _, size in found.values()}
            if sizes != {len(found)}:
                names = [path.name for path, _ in found.values()]
                raise DataError(place, found=names, mend="Shards are missing, or of two runs.")
            return [found[rank][0] for rank in sorted(found)]
    raise DataError(folder, found="no shards", mend="Give a run's checkpoints or a global_step_N.")


def join_shards(paths: Sequence[Path]) -> dict[str, Any]:
    """Read the shards of a checkpoint of FSDP2 and join them, without starting its processes.

    Raises:
        DataError: The shards are laid out in more than one dimension.
    """
    import torch

    shards = [torch.load(path, map_location="cpu", weights_only=False) for path in paths]
    return {name: _joined(name, [shard[name] for shard in shards]) for name in shards[0]}


def _joined(name: str, pieces: Sequence[Any]) -> Any:
    import torch

    placements = tuple(getattr(pieces[0], "placements", ()))
    if not placements:
        return pieces[0]
    local = [piece._local_tensor for piece in pieces]
    if len(placements) > 1:
        mend = "Only checkpoints sharded over one dimension are compared."
        raise DataError(name, found=str(placements), mend=mend)
    if not placements[0].is_shard():
        return local[0]
    return torch.cat(list(_not_empty(local)), dim=placements[0].dim)


def _not_empty(tensors: Sequence[Any]) -> Iterator[Any]:
    """Ranks beyond the last row of a small tensor hold nothing of it."""
    filled = [tensor for tensor in tensors if tensor.numel()]
    yield from filled or tensors[:1]
