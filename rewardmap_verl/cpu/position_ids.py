"""Restore the ragged dimension of three-dimensional position ids.

Upstream (not about CPUs; it shows with small uniform batches): a vision-language model has position
ids of shape ``[4, length]`` per sequence. Once every sequence of a batch has the same length,
TransferQueue's nested tensor takes the *first* dimension for the ragged one, and verl's
``maybe_fix_3d_position_ids`` only renames the dimension, which leaves values and offsets that
disagree; ``compute_log_prob`` then fails in ``chunk_tensordict``. The tensor has to be rebuilt.
Seen in verl 0.9.1 with TransferQueue 0.1.11 and tensordict 0.10.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from tensordict import TensorDict

RAGGED_DIMENSION = 2


def fix_position_ids(data: TensorDict) -> None:
    """Make the length the ragged dimension of ``data["position_ids"]``, in place.

    Does nothing to a batch without position ids, or with dense or two-dimensional ones.
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
    """Whether the values are ``[sequences x axes, length]`` and not ``[axes, total length]``.

    The offsets count whatever is packed. (Both can only be true of four tokens in all.)
    """
    values, offsets = position_ids._values, position_ids._offsets
    return values.shape[0] == int(offsets[-1])


def _repack_along_length(position_ids: torch.Tensor) -> torch.Tensor:
    """A nested tensor with the same sequences whose ragged dimension is the length."""
    from verl.utils.tensordict_utils import nested_tensor_from_tensor_list

    values, offsets = position_ids._values, position_ids._offsets
    sequences = offsets.numel() - 1
    per_sequence = values.view(sequences, values.shape[0] // sequences, values.shape[1])
    return nested_tensor_from_tensor_list(list(per_sequence.unbind(0)), ragged_idx=RAGGED_DIMENSION)


def apply() -> None:
    """Replace verl's function; modules that import it by name are loaded after the plugins."""
    from verl.utils import tensordict_utils

    tensordict_utils.maybe_fix_3d_position_ids = fix_position_ids
