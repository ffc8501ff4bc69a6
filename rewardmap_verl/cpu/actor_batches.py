"""Batches of actor and reference without what no model reads, and without needless copies.

Upstream: verl hands its workers all fields of a row, texts and dictionaries among them, for each of
three passes a step. A value that is no tensor is read from the queue, becomes an object of
tensordict, is selected for its micro-batch (``index_select_tensor_dict``), "moved" to the device;
and a batch that fits into one micro-batch is unpacked and packed again, to be what it was. With a
large model that is lost in the arithmetic; with a tiny one it is half of the worker's Python time.
Seen in verl 0.9.1 with tensordict 0.10.0 and TransferQueue 0.1.11.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from tensordict import TensorDict
    from transfer_queue import BatchMeta

OF_THE_ROW = frozenset(
    {
        *("prompt", "raw_prompt", "ability", "data_source", "reward_model", "extra_info"),
        *("tools_kwargs", "interaction_kwargs", "index", "uid", "session_id", "global_steps"),
        *("extra_fields", "metrics", "num_turns", "dummy_tensor"),
    }
)
"""What verl keeps of a row and of its answer for rewards, metrics and dumps."""

_APPLIED = "_rewardmap_actor_batches"


def for_the_model(meta: BatchMeta) -> BatchMeta:
    """What a worker asks the queue for, without the fields that are about the row."""
    return meta.select_fields([name for name in meta.field_names if name not in OF_THE_ROW])


def same_rows(batch: TensorDict) -> TensorDict:
    """Another batch of the same values; tensordict's ``copy`` copies all that is no tensor."""
    from tensordict import TensorDict

    return TensorDict(dict(batch.items()), batch_size=batch.batch_size, device=batch.device)


def is_whole(indices: torch.Tensor | Sequence[int], rows: int) -> bool:
    """Whether ``indices`` are all rows of a batch, in their order."""
    return len(indices) == rows and all(int(at) == row for row, at in enumerate(indices))


def apply() -> None:
    """Wrap verl's functions; modules that import them by name are loaded after the plugins.

    ``_async_meta_to_realdata`` is what a worker's method gets its batch from, and nothing else does
    (``tqbridge``).
    """
    from transfer_queue import BatchMeta
    from verl.utils import tensordict_utils, transferqueue_utils

    if hasattr(tensordict_utils.index_select_tensor_dict, _APPLIED):
        return
    fetch: Callable[..., Any] = transferqueue_utils._async_meta_to_realdata
    select: Callable[..., Any] = tensordict_utils.index_select_tensor_dict

    @functools.wraps(fetch)
    async def fetch_for_the_model(meta: Any) -> Any:
        if not isinstance(meta, BatchMeta):
            meta = await transferqueue_utils.async_kv_batch_meta2batch_meta(meta)
        return await fetch(for_the_model(meta) if meta.size else meta)

    @functools.wraps(select)
    def select_unless_whole(batch: Any, indices: Any) -> Any:
        if batch is not None and is_whole(indices, len(batch)):
            return same_rows(batch)
        return select(batch, indices)

    setattr(select_unless_whole, _APPLIED, True)
    transferqueue_utils._async_meta_to_realdata = fetch_for_the_model
    tensordict_utils.index_select_tensor_dict = select_unless_whole
