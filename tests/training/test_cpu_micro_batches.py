"""Micro-batches on the CPU hold what verl's hold, but for what no model reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from hypothesis import given
from hypothesis import strategies as st
from tensordict import NonTensorData, NonTensorStack, TensorDict
from verl.utils.tensordict_utils import nested_tensor_from_tensor_list

from rewardmap_verl.training.cpu.micro_batches import OF_THE_ROW, is_whole, same_rows

ROWS = 5


@pytest.fixture
def batch() -> TensorDict:
    """What an actor gets: tensors, pictures, settings of the pass, and what verl knows of rows."""
    return make_batch(ROWS)


def make_batch(rows: int) -> TensorDict:
    lengths = [3 + row for row in range(rows)]
    ids = [torch.arange(length) for length in lengths]
    fields = {
        "input_ids": nested_tensor_from_tensor_list(ids),
        "position_ids": nested_tensor_from_tensor_list(
            [torch.arange(4 * length).view(4, length) for length in lengths], ragged_idx=2
        ),
        "advantages": torch.arange(rows, dtype=torch.float32),
        "multi_modal_inputs": NonTensorStack(*[{"pixel_values": row} for row in range(rows)]),
        "temperature": NonTensorData(1.0),
        **{name: NonTensorStack(*[f"{name} {row}" for row in range(rows)]) for name in OF_THE_ROW},
    }
    return TensorDict(fields, batch_size=[rows])


def test_the_fields_of_the_row_go_and_the_others_stay(batch: TensorDict) -> None:
    found = same_rows(batch, OF_THE_ROW)
    assert set(found.keys()) == {
        *("input_ids", "position_ids", "advantages", "multi_modal_inputs", "temperature")
    }
    assert found.batch_size == batch.batch_size
    assert found["input_ids"] is batch["input_ids"]
    assert found["multi_modal_inputs"] == batch["multi_modal_inputs"]
    assert found["temperature"] == 1.0
    assert set(batch.keys()) > OF_THE_ROW


def test_another_batch_is_another(batch: TensorDict) -> None:
    found = same_rows(batch)
    assert set(found.keys()) == set(batch.keys())
    found["advantages"] = torch.zeros(ROWS)
    found["more"] = torch.zeros(ROWS)
    assert batch["advantages"].tolist() == [0, 1, 2, 3, 4]
    assert "more" not in set(batch.keys())


@given(st.lists(st.integers(0, 5), max_size=7), st.integers(0, 6), st.booleans())
def test_only_all_rows_in_order_are_whole(indices: list[int], rows: int, tensor: bool) -> None:
    given_ = torch.tensor(indices, dtype=torch.long) if tensor else indices
    assert is_whole(given_, rows) == (indices == list(range(rows)))
    assert is_whole(range(rows), rows)


APPLIED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch
import verl
from verl.utils import seqlen_balancing
from verl.workers.engine import utils
from rewardmap_verl.training.cpu import micro_batches
from test_cpu_micro_batches import make_batch

def told(batch):
    told = {}
    for name in sorted(batch.keys()):
        value = batch[name]
        told[name] = (
            [one.tolist() for one in value.unbind()] if isinstance(value, torch.Tensor)
            else value.tolist() if hasattr(value, "tolist") else value
        )
    return told

found = []
for rows, most in ((6, 12), (6, 1000), (4, 7)):
    parts, where = utils.rearrange_micro_batches(make_batch(rows), max_token_len=most)
    found.append([where, [told(part) for part in parts]])
shuffled = make_batch(4)
from verl.utils import tensordict_utils as tu
order = [told(one) for one in tu.make_iterator(shuffled, 4, 2, 1, {"shuffle": True})]
print(json.dumps([hasattr(utils.rearrange_micro_batches, micro_batches._APPLIED), found, order]))
"""


def found_with(platform: str) -> Any:
    here = str(Path(__file__).parent)
    environment = {**os.environ, "VERL_PLATFORM": platform}
    if not platform:
        del environment["VERL_PLATFORM"]
    done = subprocess.run(
        [sys.executable, "-c", APPLIED, here],
        capture_output=True,
        text=True,
        timeout=280,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_verls_engines_take_it_and_get_verls_micro_batches() -> None:
    """In processes of their own, with the plugin on the CPU and without it."""
    is_ours, ours, our_order = found_with("cpu")
    is_theirs_ours, theirs, their_order = found_with("")
    assert (is_ours, is_theirs_ours) == (True, False)
    assert our_order == their_order
    for (our_rows, our_parts), (their_rows, their_parts) in zip(ours, theirs, strict=True):
        assert our_rows == their_rows
        for part, stock in zip(our_parts, their_parts, strict=True):
            assert part == {name: stock[name] for name in stock if name not in OF_THE_ROW}
    assert [len(parts) for _, parts in ours] == [3, 1, 3]
