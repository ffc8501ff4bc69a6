"""Read the files of an FSDP2 checkpoint without executing code from them.

Checkpoints are pickle archives, and unpickling runs whatever a stranger put into one. Every file is
therefore read by torch's restricted unpickler (``weights_only``), which accepts tensors and plain
data only. verl 0.9.1 reads them without it, so ``check_safe`` runs before verl does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError

__all__ = ["check_safe", "join_shards", "read_plain", "shard_files"]

_SHARD = re.compile(r"model_world_size_(\d+)_rank_(\d+)\.pt")
_HINT = (
    "Only tensors and plain data are read, as verl's FSDP engine saves them; anything else could "
    "run code. Do not use this checkpoint unless you know its origin."
)


def read_plain(path: Path) -> Any:
    """Read a file of tensors and plain data; tensors are mapped from disk, not copied.

    Raises:
        DataError: The file contains anything else, or cannot be read.
    """
    import torch
    import torch.distributed.tensor  # registers sharded tensors as safe

    with torch.serialization.safe_globals(_numpy_globals()):
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # a damaged archive makes torch raise almost anything
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(path, found=first, hint=_HINT) from None


def _numpy_globals() -> list[Any]:
    """Return what NumPy arrays need; verl saves the state of NumPy's random generator."""
    import numpy as np

    rebuild = np.ndarray.__reduce__(np.zeros(1))[0]
    return [rebuild, np.ndarray, np.dtype, type(np.dtype(np.uint32))]


def check_safe(paths: Iterable[Path]) -> None:
    """Check that files hold nothing but tensors and plain data.

    Raises:
        DataError: Names the first file that does not.
    """
    for path in paths:
        read_plain(path)


def shard_files(folder: Path) -> list[Path]:
    """Return the model shards in a folder in order of rank; empty if there are none.

    Raises:
        DataError: Shards are missing.
    """
    found = {
        int(match[2]): (path, int(match[1]))
        for path in folder.glob("model_world_size_*.pt")
        if (match := _SHARD.fullmatch(path.name))
    }
    if found and {size for _, size in found.values()} != {len(found)}:
        names = sorted(path.name for path, _ in found.values())
        raise DataError(folder, found=names, hint="Shards are missing or belong to two runs.")
    return [found[rank][0] for rank in sorted(found)]


def join_shards(paths: Sequence[Path]) -> dict[str, Any]:
    """Read the shards of an FSDP2 checkpoint and join them without starting its processes.

    Raises:
        DataError: A file holds more than tensors, or the shards differ in their tensors or are
            sharded over more than one dimension.
    """
    shards = [_tensors(path) for path in paths]
    for path, shard in zip(paths, shards, strict=True):
        if shard.keys() != shards[0].keys():
            raise DataError(path, hint=f"Its tensors are not those of {paths[0].name}.")
    return {name: _joined(name, [shard[name] for shard in shards]) for name in shards[0]}


def _tensors(path: Path) -> dict[str, Any]:
    read = read_plain(path)
    if not isinstance(read, dict) or not read:
        raise DataError(path, found=type(read).__name__, hint="A mapping of tensors is expected.")
    return read


def _joined(name: str, pieces: Sequence[Any]) -> Any:
    import torch

    placements = tuple(getattr(pieces[0], "placements", ()))
    if not placements:
        return pieces[0]
    local = [piece._local_tensor for piece in pieces]
    if len(placements) > 1:
        hint = "Only checkpoints sharded over one dimension can be joined."
        raise DataError(name, found=str(placements), hint=hint)
    if not placements[0].is_shard():
        return local[0]
    return torch.cat(list(_not_empty(local)), dim=placements[0].dim)


def _not_empty(tensors: Sequence[Any]) -> Iterator[Any]:
    """Yield the non-empty pieces; ranks beyond the last row of a small tensor hold none of it."""
    filled = [tensor for tensor in tensors if tensor.numel()]
    yield from filled or tensors[:1]
