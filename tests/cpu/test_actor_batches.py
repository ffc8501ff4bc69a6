"""Workers on the CPU get what verl's get, but for what no model reads."""

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

from rewardmap_verl.cpu.actor_batches import OF_THE_ROW, is_whole, same_rows

ROWS = 5


def make_batch(rows: int) -> TensorDict:
    """What a worker gets: tensors, pictures, and what verl knows of rows and answers."""
    lengths = [3 + row for row in range(rows)]
    fields = {
        "input_ids": nested_tensor_from_tensor_list([torch.arange(length) for length in lengths]),
        "position_ids": nested_tensor_from_tensor_list(
            [torch.arange(4 * length).view(4, length) for length in lengths], ragged_idx=2
        ),
        "advantages": torch.arange(rows, dtype=torch.float32),
        "multi_modal_inputs": NonTensorStack(*[{"pixel_values": row} for row in range(rows)]),
        **{name: NonTensorStack(*[f"{name} {row}" for row in range(rows)]) for name in OF_THE_ROW},
    }
    return TensorDict(fields, batch_size=[rows])


@pytest.fixture
def batch() -> TensorDict:
    batch = make_batch(ROWS)
    batch["temperature"] = NonTensorData(1.0)
    return batch


def test_another_batch_is_another(batch: TensorDict) -> None:
    found = same_rows(batch)
    assert set(found.keys()) == set(batch.keys())
    assert found["temperature"] == 1.0
    assert found["input_ids"] is batch["input_ids"]
    found["advantages"] = torch.zeros(ROWS)
    found["more"] = torch.zeros(ROWS)
    assert batch["advantages"].tolist() == [0, 1, 2, 3, 4]
    assert "more" not in set(batch.keys())


@given(st.lists(st.integers(0, 5), max_size=7), st.integers(0, 6), st.booleans())
def test_only_all_rows_in_order_are_whole(indices: list[int], rows: int, tensor: bool) -> None:
    asked = torch.tensor(indices, dtype=torch.long) if tensor else indices
    assert is_whole(asked, rows) == (indices == list(range(rows)))
    assert is_whole(range(rows), rows)


SEEN = """
import json, sys
sys.path.insert(0, sys.argv[1])
import ray, torch
import transfer_queue as tq
import verl
from omegaconf import OmegaConf
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.utils import tensordict_utils as tu
from verl.utils.transferqueue_utils import tqbridge
from verl.workers.engine import utils as engine
from test_cpu_actor_batches import make_batch

def told(batch):
    told = {}
    for name in sorted(batch.keys()):
        value = batch[name]
        if isinstance(value, torch.Tensor):
            told[name] = [one.tolist() for one in value.unbind()]
        else:
            told[name] = value.tolist() if hasattr(value, "tolist") else value
    return told

parts = {}
for rows, most in ((6, 12), (6, 1000), (4, 7)):
    made, where = engine.rearrange_micro_batches(make_batch(rows), max_token_len=most)
    parts[f"{rows} rows, {most} tokens"] = [where, [told(part) for part in made]]
parts["shuffled"] = [told(one) for one in tu.make_iterator(make_batch(4), 4, 2, 1, {"shuffle": 1})]
parts["in order"] = [told(one) for one in tu.make_iterator(make_batch(4), 4, 1, 1)]

ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
tq.init(OmegaConf.create({"backend": {"SimpleStorage": {"num_data_storage_units": 1}}}))
keys = [f"k{row}" for row in range(5)]
tq.kv_batch_put(keys=keys, partition_id="train", fields=make_batch(5), tags=[{}] * 5)
got = []

@tqbridge()
def passes(batch):
    got.append(told(batch))
    return TensorDict({"log_probs": torch.ones(5, 2)}, batch_size=[5])

@tqbridge()
async def waits(batch):
    got.append(told(batch))

meta = KVBatchMeta(keys=keys, tags=[{}] * 5, partition_id="train", extra_info={"temperature": 0.5})
back = passes(meta)
import asyncio
asyncio.run(waits(meta))
few = KVBatchMeta(keys=keys, tags=[{}] * 5, partition_id="train", fields=["input_ids", "uid"])
passes(few)
kept = tq.kv_batch_get(keys=keys, partition_id="train")
print(json.dumps({
    "parts": parts, "got": got, "kept": sorted(kept.keys()), "back": [back.keys, back.extra_info],
}))
ray.shutdown()
"""


def seen_with(platform: str | None) -> Any:
    environment = {**os.environ, "RAY_ADDRESS": "local"}
    environment.pop("VERL_PLATFORM", None)
    done = subprocess.run(
        [sys.executable, "-c", SEEN, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**environment, **({"VERL_PLATFORM": platform} if platform else {})},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_workers_get_verls_batches_without_what_no_model_reads() -> None:
    """Through verl's own functions and the queue itself, with the plugin on the CPU and without."""
    ours, theirs = seen_with("cpu"), seen_with(None)
    assert ours["parts"] == theirs["parts"]
    assert [len(parts) for _, parts in list(ours["parts"].values())[:3]] == [3, 1, 3]
    for our_fields, their_fields in zip(ours["got"], theirs["got"], strict=True):
        assert set(their_fields) & OF_THE_ROW
        wanted = {name: value for name, value in their_fields.items() if name not in OF_THE_ROW}
        assert our_fields == wanted
    assert ours["got"][0]["temperature"] == 0.5
    assert set(ours["got"][2]) == {"input_ids"}
    assert ours["kept"] == theirs["kept"]
    assert OF_THE_ROW | {"log_probs"} < set(ours["kept"])
    assert ours["back"] == theirs["back"]
