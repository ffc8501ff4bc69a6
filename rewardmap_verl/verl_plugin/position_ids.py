"""Restore the ragged dimension of three-dimensional position ids.

A vision-language model has position ids of shape ``[4, length]`` per sequence. If all sequences of
a batch have the same length, TransferQueue's nested tensor takes the *first* dimension for the
ragged one. verl's ``maybe_fix_3d_position_ids`` then only renames the dimension, which leaves
values and offsets that disagree, and ``compute_log_prob`` fails in ``chunk_tensordict``. The tensor
has to be rebuilt. The fault does not depend on the platform; small uniform batches show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardmap_verl.patching import Patch

if TYPE_CHECKING:
    import torch
    from tensordict import TensorDict

__all__ = ["PATCH", "fix_position_ids"]

RAGGED_DIMENSION = 2


def fix_position_ids(data: TensorDict) -> None:
    """Make the length the ragged dimension of ``data["position_ids"]``, in place.

    Leaves a batch without position ids, or with dense or two-dimensional ones, unchanged.
    """
    if "position_ids" not in data.keys():  # noqa: SIM118  (a TensorDict iterates over its batch)
        return
    position_ids = data["position_ids"]
    if not (position_ids.is_nested and position_ids.dim() == 3):
        return
    if _is_packed_along_axes(position_ids):
        data["position_ids"] = _repack_along_length(position_ids)
    else:
        position_ids._ragged_idx = RAGGED_DIMENSION


def _is_packed_along_axes(position_ids: torch.Tensor) -> bool:
    """Return whether the values are ``[sequences x axes, length]``, not ``[axes, total length]``.

    The offsets count what is packed. (Both can hold only for four tokens in total.)
    """
    values, offsets = position_ids._values, position_ids._offsets
    return values.shape[0] == int(offsets[-1])


def _repack_along_length(position_ids: torch.Tensor) -> torch.Tensor:
    """Return a nested tensor of the same sequences whose ragged dimension is the length."""
    from verl.utils.tensordict_utils import nested_tensor_from_tensor_list

    values, offsets = position_ids._values, position_ids._offsets
    sequences = offsets.numel() - 1
    per_sequence = values.view(sequences, values.shape[0] // sequences, values.shape[1])
    return nested_tensor_from_tensor_list(list(per_sequence.unbind(0)), ragged_idx=RAGGED_DIMENSION)


PATCH = Patch(
    target="verl.utils.tensordict_utils:maybe_fix_3d_position_ids",
    signature="(data)",
    replacement=lambda _original: fix_position_ids,
    reason="Batches whose sequences all have one length fail in compute_log_prob.",
    upstream="verl: rebuild the nested tensor in maybe_fix_3d_position_ids.",
    seen_in="verl 0.9.1 with TransferQueue 0.1.11 and tensordict 0.10.0",
)
