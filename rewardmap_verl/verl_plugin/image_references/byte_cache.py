"""LRU caches that are bounded in bytes and shared by the threads of a process."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Condition
from typing import Any

from cachetools import LRUCache, cached

__all__ = ["byte_cache"]


def byte_cache(limit: int, size_of: Callable[[Any], int]) -> Any:
    """Return ``get(key, make)``: the value of a key, from ``make()`` if the cache lacks it.

    Threads that ask for a key while its value is being made wait for that value: the rollouts of a
    group start together and need the same map. An error of ``make`` is raised and not cached. A
    value larger than ``limit`` is returned and not cached.

    Args:
        limit: Bytes of all cached values together.
        size_of: Bytes of a value.

    Returns:
        The function, with the attributes of ``cachetools.cached``: ``cache``, ``cache_info()``.
    """

    def by_key(key: Hashable, _make: Callable[[], Any]) -> Hashable:
        return key

    @cached(LRUCache(limit, getsizeof=size_of), key=by_key, condition=Condition(), info=True)
    def get(_key: Hashable, make: Callable[[], Any]) -> Any:
        return make()

    return get
