"""Micro-batches without what no model reads, and without copies of a batch that is not divided.

Upstream: verl hands its actor all fields of a row, texts and dictionaries among them, and cuts its
batch into micro-batches field by field and row by row (``rearrange_micro_batches`` in
``verl/utils/seqlen_balancing.py``, ``index_select_tensor_dict`` in
``verl/utils/tensordict_utils.py``), three times a step. Each value that is no tensor becomes an
object of tensordict, is selected, and is "moved" to the device; and a batch that fits into one
micro-batch is unpacked and packed again, to be what it was. With a large model that is lost in the
arithmetic; with a tiny one it is two fifths of the worker's Python time. Seen in verl 0.9.1 with
tensordict 0.10.0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from tensordict import TensorDict

OF_THE_ROW = frozenset(
    {
        *("prompt", "raw_prompt", "ability", "data_source", "reward_model", "extra_info"),
        *("tools_kwargs", "interaction_kwargs", "index", "uid", "session_id", "global_steps"),
        *("extra_fields", "metrics", "num_turns"),
    }
)
"""What verl keeps of a row and of its answer for rewards, metrics and dumps."""

_APPLIED = "_rewardmap_micro_batches"


def same_rows(batch: TensorDict, without: Iterable[str] = ()) -> TensorDict:
    """Another batch of the same values, without some fields.

    tensordict's own ``copy`` and ``exclude`` make new objects of all that is no tensor.
    """
    from tensordict import TensorDict

    fields = {name: value for name, value in batch.items() if name not in without}
    return TensorDict(fields, batch_size=batch.batch_size, device=batch.device)


def is_whole(indices: torch.Tensor | Sequence[int], rows: int) -> bool:
    """Whether ``indices`` are all rows of a batch, in their order."""
    return len(indices) == rows and all(int(at) == row for row, at in enumerate(indices))


def apply() -> None:
    """Wrap verl's functions; modules that import them by name are loaded after the plugins."""
    from verl.utils import seqlen_balancing, tensordict_utils

    if hasattr(seqlen_balancing.rearrange_micro_batches, _APPLIED):
        return
    rearrange: Callable[..., Any] = seqlen_balancing.rearrange_micro_batches
    select: Callable[..., Any] = tensordict_utils.index_select_tensor_dict

    @functools.wraps(rearrange)
    def rearrange_for_the_model(batch: Any, *arguments: Any, **options: Any) -> Any:
        return rearrange(same_rows(batch, OF_THE_ROW), *arguments, **options)

    @functools.wraps(select)
    def select_unless_whole(batch: Any, indices: Any) -> Any:
        if batch is not None and is_whole(indices, len(batch)):
            return same_rows(batch)
        return select(batch, indices)

    setattr(rearrange_for_the_model, _APPLIED, True)
    seqlen_balancing.rearrange_micro_batches = rearrange_for_the_model
    tensordict_utils.index_select_tensor_dict = select_unless_whole
