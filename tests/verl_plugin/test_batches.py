"""Many coroutines share one thread, and none has to do with the fault of another."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rewardmap_verl.verl_plugin.batches import MOST, BatchedThread


def half(number: int) -> int:
    if number % 2:
        raise ValueError(number)
    return number // 2


def test_each_gets_its_own_result_or_error() -> None:
    async def ask() -> list[int | BaseException]:
        return await asyncio.gather(*(thread.run(n) for n in range(500)), return_exceptions=True)

    thread = BatchedThread(half, "test")
    for _ in range(2):  # each run has an event loop of its own
        results = asyncio.run(ask())
        assert results[::2] == [n // 2 for n in range(0, 500, 2)]
        assert [error.args for error in results[1::2]] == [(n,) for n in range(1, 500, 2)]  # type: ignore[union-attr]


def test_the_event_loop_goes_on_meanwhile() -> None:
    async def ask() -> int:
        answer = asyncio.create_task(thread.run(4))
        await asyncio.sleep(0.05)
        assert not answer.done()
        gate.set()
        return await answer

    gate = threading.Event()
    thread = BatchedThread(lambda number: gate.wait(10) and number, "test")
    assert asyncio.run(ask()) == 4


def test_one_who_no_longer_waits_holds_nobody_up() -> None:
    async def ask() -> int:
        gone = asyncio.create_task(thread.run(2))
        stays = asyncio.create_task(thread.run(8))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    thread = BatchedThread(half, "test")
    assert asyncio.run(ask()) == 4


def test_an_event_loop_that_ends_leaves_nothing_behind() -> None:
    async def leave() -> None:
        asyncio.get_running_loop().call_later(0.1, gate.set)
        await asyncio.wait_for(
            asyncio.gather(*(thread.run(2 * n) for n in range(3 * MOST))), timeout=0.02
        )

    gate = threading.Event()
    thread = BatchedThread(lambda number: gate.wait(10) and half(number), "test")
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(leave())
    gate.set()
    assert asyncio.run(thread.run(6)) == 3
