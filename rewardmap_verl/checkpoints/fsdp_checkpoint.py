"""A checkpoint of FSDP2 as one set of tensors, joined without starting its processes."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError

__all__ = ["join_shards", "shard_files"]

_SHARD = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")


def shard_files(folder: Path) -> list[Path]:
    """The model's shards in a folder, in order of rank; none where there are none.

    Raises:
        DataError: Some are missing.
    """
    found = {
        int(match[2]): (path, int(match[1]))
        for path in folder.glob("model_world_size_*.pt")
        if (match := _SHARD.fullmatch(path.name))
    }
    if found and {size for _, size in found.values()} != {len(found)}:
        names = sorted(path.name for path, _ in found.values())
        raise DataError(folder, found=names, hint="Shards are missing, or of two runs.")
    return [found[rank][0] for rank in sorted(found)]


def join_shards(paths: Sequence[Path]) -> dict[str, Any]:
    """Read the shards of a checkpoint of FSDP2 and join them.

    Raises:
        DataError: A file holds more than tensors, or the shards are laid out in more than one
            dimension.
    """
    shards = [_tensors(path) for path in paths]
    return {name: _joined(name, [shard[name] for shard in shards]) for name in shards[0]}


def _tensors(path: Path) -> dict[str, Any]:
    """The tensors of a file; nothing else is unpickled, for it may be a stranger's."""
    import torch
    import torch.distributed.tensor  # lets sharded tensors be read as tensors

    try:
        read: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        hint = "Only checkpoints that verl's FSDP engine saved are read."
        raise DataError(path, found=str(error).splitlines()[0], hint=hint) from None
    return read


def _joined(name: str, pieces: Sequence[Any]) -> Any:
    import torch

    placements = tuple(getattr(pieces[0], "placements", ()))
    if not placements:
        return pieces[0]
    local = [piece._local_tensor for piece in pieces]
    if len(placements) > 1:
        hint = "Only checkpoints sharded over one dimension are joined here."
        raise DataError(name, found=str(placements), hint=hint)
    if not placements[0].is_shard():
        return local[0]
    return torch.cat(list(_not_empty(local)), dim=placements[0].dim)


def _not_empty(tensors: Sequence[Any]) -> Iterator[Any]:
    """Ranks beyond the last row of a small tensor hold nothing of it."""
    filled = [tensor for tensor in tensors if tensor.numel()]
    yield from filled or tensors[:1]
