"""Position ids of batches whose sequences have one length, or several."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("verl")

from tensordict import TensorDict

from rewardmap_verl.verl_plugin.position_ids import fix_position_ids

AXES = 4


def batch_of(lengths: list[int]) -> tuple[TensorDict, list[torch.Tensor]]:
    """A batch as TransferQueue makes it, and the position ids of each sequence."""
    sequences = [
        torch.arange(AXES * length).view(AXES, length) + 100 * row
        for row, length in enumerate(lengths)
    ]
    nested = torch.nested.as_nested_tensor(sequences, layout=torch.jagged)
    return TensorDict({"position_ids": nested}, batch_size=[len(lengths)]), sequences


@pytest.mark.parametrize("lengths", [[5, 5, 5], [16, 16, 16, 16], [4], [7], [12, 12, 12]])
def test_batches_of_one_length_are_rebuilt(lengths: list[int]) -> None:
    data, sequences = batch_of(lengths)
    fix_position_ids(data)
    fixed = data["position_ids"]
    assert fixed._ragged_idx == 2
    assert fixed._values.shape == (AXES, sum(lengths))
    for found, expected in zip(fixed.unbind(0), sequences, strict=True):
        assert torch.equal(found, expected)


def test_fixed_batches_stay_fixed() -> None:
    data, sequences = batch_of([5, 5])
    fix_position_ids(data)
    fix_position_ids(data)
    for found, expected in zip(data["position_ids"].unbind(0), sequences, strict=True):
        assert torch.equal(found, expected)


def test_ragged_batches_only_regain_their_dimension() -> None:
    """After pickling, verl's own case: values are right and the ragged dimension is forgotten."""
    from verl.utils.tensordict_utils import nested_tensor_from_tensor_list

    sequences = [torch.arange(AXES * n).view(AXES, n) for n in (3, 6)]
    nested = nested_tensor_from_tensor_list(sequences, ragged_idx=2)
    nested._ragged_idx = 1
    data = TensorDict({"position_ids": nested}, batch_size=[2])
    fix_position_ids(data)
    for found, expected in zip(data["position_ids"].unbind(0), sequences, strict=True):
        assert torch.equal(found, expected)


def test_other_batches_are_left_alone() -> None:
    empty = TensorDict({}, batch_size=[2])
    fix_position_ids(empty)
    assert list(empty.keys()) == []
    dense = TensorDict({"position_ids": torch.arange(6).view(2, 3)}, batch_size=[2])
    fix_position_ids(dense)
    assert torch.equal(dense["position_ids"], torch.arange(6).view(2, 3))
