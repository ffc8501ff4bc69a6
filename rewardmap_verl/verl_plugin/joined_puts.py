"""Answers on their way into verl's queue: those that wait for one another travel together.

Stock verl 0.9.1 puts each answer into TransferQueue by itself: four messages to two processes, and
as many objects of tensordict as an answer has fields. The puts of a step are asked for at about the
same time and hold one another up in an agent loop's only thread: on a CPU the last 12 ms for each
answer of a validation were puts and nothing else. Here the first put goes at once, and all that are
asked for while it is under way go as the next one. Seen with TransferQueue 0.1.11.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tensordict import NonTensorStack, TensorDict

__all__ = ["JoinedPuts", "join_rows"]

MOST_ROWS = 64
"""Rows in one put: an answer about a large map takes 0.7 MB."""

Kind = tuple[str, frozenset[str] | None]


@dataclass(frozen=True)
class _Put:
    keys: list[str]
    partition: str
    fields: TensorDict | None
    tags: list[dict[str, Any]]
    done: asyncio.Future[Any]

    @property
    def kind(self) -> Kind:
        """Puts of one kind can travel together."""
        names = None if self.fields is None else frozenset(self.fields.keys())
        return self.partition, names


class JoinedPuts:
    """In place of ``transfer_queue.async_kv_batch_put``, within one event loop.

    Args:
        put: The function itself.
    """

    def __init__(self, put: Callable[..., Awaitable[Any]]) -> None:
        self._put = put
        self._waiting: list[_Put] = []
        self._sending: asyncio.Task[None] | None = None

    async def __call__(
        self,
        keys: list[str],
        partition_id: str,
        fields: TensorDict | None = None,
        tags: list[dict[str, Any]] | None = None,
        data_parser: Any = None,
    ) -> Any:
        """As TransferQueue's own: returns when the rows are there, and raises what it raises."""
        if tags is None or len(tags) != len(keys) or data_parser is not None:
            return await self._put(keys, partition_id, fields, tags, data_parser)
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Put(keys, partition_id, fields, tags, done))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        return await done

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                puts = self._next()
                try:
                    await self._send(puts)
                except Exception as error:
                    fail(puts, error)
                except BaseException as error:  # cancelled: nobody may wait for good
                    fail([*puts, *self._waiting], error)
                    self._waiting = []
                    raise
        finally:
            self._sending = None

    def _next(self) -> list[_Put]:
        """Take the first put that waits, and those that can travel with it."""
        first, *others = self._waiting
        taken, left, keys = [first], [], set(first.keys)
        for put in others:
            fits = put.kind == first.kind and len(keys) + len(put.keys) <= MOST_ROWS
            if fits and keys.isdisjoint(put.keys):
                taken.append(put)
                keys.update(put.keys)
            else:
                left.append(put)
        self._waiting = left
        return taken

    async def _send(self, puts: Sequence[_Put]) -> None:
        first = puts[0]
        keys = [key for put in puts for key in put.keys]
        tags = [tag for put in puts for tag in put.tags]
        tables = [put.fields for put in puts if put.fields is not None]
        fields = join_rows(tables) if tables else None
        meta = await self._put(keys, first.partition, fields, tags)
        for put in puts:
            if not put.done.done():  # whoever waited may have been cancelled
                put.done.set_result(meta.select_keys(put.keys))


def fail(puts: Sequence[_Put], error: BaseException) -> None:
    """Tell those who still wait."""
    for put in puts:
        if not put.done.done():
            put.done.set_exception(error)


def join_rows(tables: Sequence[TensorDict]) -> TensorDict:
    """Rows of several tables with the same fields, one below the other.

    Tensors of different shapes become a nested tensor, as TransferQueue packs them itself.
    """
    if len(tables) == 1:
        return tables[0]
    rows = sum(table.batch_size[0] for table in tables)
    fields = {
        name: _column([value, *(table.get(name) for table in tables[1:])])
        for name, value in tables[0].items()
    }
    return TensorDict(fields, batch_size=[rows])


def _column(parts: Sequence[Any]) -> Any:
    values = [value for part in parts for value in _values(part)]
    if not isinstance(values[0], torch.Tensor):
        return NonTensorStack(*values)
    if all(value.shape == values[0].shape for value in values):
        return torch.stack(values)
    try:
        return torch.nested.as_nested_tensor(values, layout=torch.jagged)
    except RuntimeError:  # shapes that differ in more than one dimension
        return torch.nested.as_nested_tensor(values, layout=torch.strided)


def _values(part: Any) -> Iterator[Any]:
    if isinstance(part, torch.Tensor):
        return iter(part.unbind())
    return iter(part.tensordicts)
