"""Work of many coroutines done by one thread, in batches.

Handing each piece over alone costs more than scoring an answer: a lock, a wake-up of the thread and
another of the event loop, and at each of them the two wait for each other's interpreter lock. With
a thousand answers at once the event loop would stand still for as long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

__all__ = ["BatchedThread"]

In = TypeVar("In")
Out = TypeVar("Out")

MOST: Final = 64
"""Pieces handed over together; their results come back together too, so not too many."""


class BatchedThread(Generic[In, Out]):
    """Does one kind of work in one thread, for the coroutines of one event loop."""

    def __init__(self, work: Callable[[In], Out], name: str) -> None:
        self._work = work
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting: deque[tuple[In, asyncio.Future[Out]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def run(self, piece: In) -> Out:
        """Return what the work gives for a piece, or raise what it raises."""
        future: asyncio.Future[Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        taken: list[tuple[In, asyncio.Future[Out]]] = []
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                pieces = [piece for piece, _ in taken]
                results = await loop.run_in_executor(self._thread, self._work_on, pieces)
                for (_, future), (result, error) in zip(taken, results, strict=True):
                    _settle(future, result, error)
        finally:  # when the event loop ends in the middle, no piece of it may remain
            self._worker = None
            for _, future in (*taken, *self._waiting):
                future.cancel()  # does nothing to those that are settled
            self._waiting.clear()

    def _work_on(self, pieces: Sequence[In]) -> list[tuple[Any, Exception | None]]:
        results: list[tuple[Any, Exception | None]] = []
        for piece in pieces:
            try:
                results.append((self._work(piece), None))
            except Exception as error:  # one's fault must not be the others'
                results.append((None, error))
        return results


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
