"""Answers that go into verl's queue together arrive as they would one by one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from tensordict import NonTensorStack, TensorDict
from transfer_queue import KVBatchMeta
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from rewardmap_verl.verl_plugin import joined_puts
from rewardmap_verl.verl_plugin.joined_puts import JoinedPuts, join_rows


def answer(number: int) -> dict[str, Any]:
    """Fields of one answer, of the kinds that verl's agent loop puts; no two lengths are alike."""
    prompt, response = 3 + number, 1 + number % 4
    return {
        "prompts": torch.arange(prompt),
        "responses": torch.arange(response) + 100 * number,
        "position_ids": torch.arange(4 * (prompt + response)).view(4, -1),
        "rm_scores": torch.full((response,), number / 7),
        "dummy_tensor": torch.tensor([number], dtype=torch.uint8),
        "session_id": number,
        "raw_prompt": [{"role": "user", "content": f"Question {number}?"}] * (1 + number % 2),
        "extra_info": {"index": number, "deep": {"list": [1, None]}},
        "multi_modal_inputs": {"image_grid_thw": torch.tensor([[1, 2, number]])},
        "mm_processor_kwargs": None,
    }


def table(*numbers: int) -> TensorDict:
    return list_of_dict_to_tensordict([answer(number) for number in numbers])


def rows_of(joined: TensorDict, name: str) -> list[Any]:
    column = joined.get(name)
    if isinstance(column, torch.Tensor):
        return [value.tolist() for value in column.unbind()]
    assert isinstance(column, NonTensorStack)
    return [item.data for item in column.tensordicts]


@pytest.mark.parametrize("sizes", [[1, 1, 1], [1, 3, 2], [2], [1, 1]])
def test_rows_stay_what_they_are(sizes: list[int]) -> None:
    numbers, tables = iter(range(100)), []
    for size in sizes:
        tables.append(table(*(next(numbers) for _ in range(size))))
    joined = join_rows(tables)
    assert joined.batch_size[0] == sum(sizes)
    for name in answer(0):
        expected = [answer(number)[name] for number in range(sum(sizes))]
        expected = [value.tolist() if hasattr(value, "tolist") else value for value in expected]
        assert str(rows_of(joined, name)) == str(expected), name


def test_rows_of_one_length_stay_a_dense_tensor() -> None:
    joined = join_rows([table(0), table(4)]).get("responses")  # one token each
    assert not joined.is_nested
    assert joined.tolist() == [[0], [400]]


def test_shapes_may_differ_in_every_dimension() -> None:
    tables = [TensorDict({"seen": torch.ones(1, 1 + n, 3 - n)}, batch_size=[1]) for n in range(3)]
    assert [torch.tensor(row).shape for row in rows_of(join_rows(tables), "seen")] == [
        (1, 3),
        (2, 2),
        (3, 1),
    ]


class Queue:
    """In place of TransferQueue: takes some time, and keeps what it was asked for."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[tuple[str, list[str], bool]] = []
        self.tags: dict[str, Any] = {}
        self.fails = fails

    async def put(
        self,
        keys: list[str],
        partition_id: str,
        fields: TensorDict | None = None,
        tags: list[dict[str, Any]] | None = None,
        data_parser: Any = None,
    ) -> KVBatchMeta:
        self.calls.append((partition_id, keys, fields is not None))
        await asyncio.sleep(0.01)
        if self.fails in keys:
            raise RuntimeError(f"no room for {self.fails}")
        assert fields is None or fields.batch_size[0] == len(keys)
        self.tags |= dict(zip(keys, tags or [], strict=False))
        return KVBatchMeta(keys=keys, tags=tags or [{}] * len(keys), partition_id=partition_id)


async def put_all(queue: Queue, count: int, partition: str = "train") -> list[Any]:
    put = JoinedPuts(queue.put)
    calls = (
        put([f"k{number}"], partition, table(number), [{"number": number}])
        for number in range(count)
    )
    return await asyncio.gather(*calls, return_exceptions=True)


def test_puts_that_wait_become_one_and_each_hears_of_its_own() -> None:
    queue = Queue()
    metas = asyncio.run(put_all(queue, 9))
    assert [len(keys) for _, keys, _ in queue.calls] == [9]
    assert [meta.keys for meta in metas] == [[f"k{number}"] for number in range(9)]
    assert [meta.tags for meta in metas] == [[{"number": number}] for number in range(9)]
    assert queue.tags == {f"k{number}": {"number": number} for number in range(9)}


def test_a_put_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joined_puts, "MOST_ROWS", 4)
    queue = Queue()
    asyncio.run(put_all(queue, 9))
    assert [len(keys) for _, keys, _ in queue.calls] == [4, 4, 1]


def test_a_put_that_is_asked_for_later_goes_next_and_nobody_waits_for_a_clock() -> None:
    queue = Queue()

    async def run() -> None:
        put = JoinedPuts(queue.put)
        first = asyncio.create_task(put(["a"], "train", table(1), [{}]))
        await asyncio.sleep(0.002)
        later = [asyncio.create_task(put([key], "train", table(2), [{}])) for key in "bc"]
        await first
        assert not any(task.done() for task in later)
        await asyncio.gather(*later)
        await put(["d"], "train", table(3), [{}])

    asyncio.run(run())
    assert [keys for _, keys, _ in queue.calls] == [["a"], ["b", "c"], ["d"]]


def test_only_puts_of_one_kind_travel_together() -> None:
    queue = Queue()

    async def run() -> None:
        put = JoinedPuts(queue.put)
        small = table(5).select("responses")
        await asyncio.gather(
            put(["a"], "train", table(1), [{}]),
            put(["b"], "val", table(2), [{}]),
            put(["c"], "train", None, [{"status": "running"}]),
            put(["d"], "train", small, [{}]),
            put(["e"], "train", table(3), [{}]),
            put(["a"], "train", table(4), [{}]),  # the same key once more: must come later
            put(["f"], "train", table(6)),  # without tags: TransferQueue's own way
            put(["g"], "train", None, [{}]),
        )

    asyncio.run(run())
    assert sorted(queue.calls) == [
        ("train", ["a"], True),
        ("train", ["a", "e"], True),
        ("train", ["c", "g"], False),
        ("train", ["d"], True),
        ("train", ["f"], True),
        ("val", ["b"], True),
    ]
    order = [keys for _, keys, fields in queue.calls if fields]
    assert order.index(["a", "e"]) < order.index(["a"])


def test_who_failed_together_hears_of_it_and_the_next_put_goes() -> None:
    queue = Queue(fails="k1")

    async def run() -> list[Any]:
        put = JoinedPuts(queue.put)
        calls = [put([f"k{number}"], "train", table(number), [{}]) for number in range(3)]
        failed = await asyncio.gather(*calls, return_exceptions=True)
        return [*failed, await put(["k9"], "train", table(9), [{}])]

    *failed, then = asyncio.run(run())
    assert [str(error) for error in failed] == ["no room for k1"] * 3
    assert then.keys == ["k9"]


def test_a_sending_that_is_cancelled_leaves_nobody_waiting() -> None:
    queue = Queue()

    async def run() -> Any:
        put = JoinedPuts(queue.put)
        sent = asyncio.create_task(put(["a"], "train", table(1), [{}]))
        await asyncio.sleep(0.002)
        waits = asyncio.create_task(put(["w"], "train", table(1), [{}]))
        await asyncio.sleep(0.002)
        assert put._sending is not None
        put._sending.cancel()
        for call in (sent, waits):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(call, 5)
        return await asyncio.wait_for(put(["b"], "train", table(2), [{}]), 5)

    assert asyncio.run(run()).keys == ["b"]


def test_one_who_no_longer_waits_does_not_stop_the_others() -> None:
    queue = Queue()

    async def run() -> list[Any]:
        put = JoinedPuts(queue.put)
        calls = [asyncio.create_task(put([key], "train", table(1), [{}])) for key in "abc"]
        await asyncio.sleep(0.002)
        calls[1].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    first, cancelled, last = asyncio.run(run())
    assert (first.keys, last.keys) == (["a"], ["c"])
    assert isinstance(cancelled, asyncio.CancelledError)


REAL = """
import asyncio, json, sys
sys.path.insert(0, sys.argv[1])
import ray, torch
import transfer_queue as tq
import verl
from omegaconf import OmegaConf
from test_joined_puts import answer, table
from rewardmap_verl.verl_plugin.joined_puts import JoinedPuts

ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
tq.init(OmegaConf.create({"backend": {"SimpleStorage": {"num_data_storage_units": 2}}}))
calls = []

async def counted(keys, *arguments):
    calls.append(len(keys))
    return await tq.async_kv_batch_put(keys, *arguments)

async def put_all():
    joined = JoinedPuts(counted)
    for put, name in ((joined, "joined"), (tq.async_kv_batch_put, "single")):
        await asyncio.gather(
            *(put([f"{name}{n}"], name, table(n), [{"number": n}]) for n in range(12))
        )

asyncio.run(put_all())

def seen(name):
    data = tq.kv_batch_get(keys=[f"{name}{n}" for n in range(12)], partition_id=name)
    rows = {}
    for field, column in data.items():
        if isinstance(column, torch.Tensor):
            rows[field] = [(str(one.dtype), one.tolist()) for one in column.unbind()]
        else:
            rows[field] = [str(one) for one in column.tolist()]
    tags = tq.kv_list(partition_id=name)[name]
    return {"rows": rows, "tags": {key.removeprefix(name): tag for key, tag in tags.items()}}

print(json.dumps({"calls": calls, "joined": seen("joined"), "single": seen("single")}))
ray.shutdown()
"""


def test_the_real_queue_gives_back_the_same() -> None:
    """TransferQueue itself, in processes of its own, with two storage units."""
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "RAY_ADDRESS": "local"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert sum(told["calls"]) == 12
    assert len(told["calls"]) < 12
    assert told["joined"] == told["single"]
    assert told["joined"]["rows"].keys() == answer(0).keys()
    assert told["joined"]["rows"]["session_id"] == [str(number) for number in range(12)]
