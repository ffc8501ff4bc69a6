"""A cache that is bounded in bytes, for what many threads ask for at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

__all__ = ["ByteCache"]

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """The most recently used values, as many as fit into a number of bytes.

    A value is made once, however many threads ask for it while it is being made: the rollouts of a
    group start together and want the same map.

    Args:
        limit: Bytes in all. A value that alone is larger is handed out and not kept.
        size_of: Bytes of a value.
    """

    def __init__(self, limit: int, size_of: Callable[[Value], int]) -> None:
        self.limit = limit
        self.used = 0
        """Bytes of the values that are kept."""
        self.made = 0
        """How often a value was made."""
        self._size_of = size_of
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._making: dict[Hashable, Future[Value]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made by ``make`` if it is not there.

        Raises:
            Exception: What ``make`` raised, in every thread that waited for it; nothing is kept.
        """
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            waiting = self._making.get(key)
            if waiting is None:
                mine: Future[Value] = Future()
                self._making[key] = mine
        if waiting is not None:
            return waiting.result()
        return self._make(key, make, mine)

    def _make(self, key: Hashable, make: Callable[[], Value], future: Future[Value]) -> Value:
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, value)
        future.set_result(value)
        return value

    def _keep(self, key: Hashable, value: Value) -> None:
        self.made += 1
        size = self._size_of(value)
        if size > self.limit:
            return
        self._values[key] = value
        self.used += size
        while self.used > self.limit:
            _, oldest = self._values.popitem(last=False)
            self.used -= self._size_of(oldest)

    def __contains__(self, key: Any) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
