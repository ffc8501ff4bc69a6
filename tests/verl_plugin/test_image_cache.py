"""The cache that is bounded in bytes: what it keeps, what it drops, what it makes once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmap_verl.verl_plugin.image_references.cache import ByteCache


def test_a_kept_value_is_not_made_again() -> None:
    cache = ByteCache[str](10, len)
    assert [cache.get("a", lambda: "abc"), cache.get("a", lambda: "other")] == ["abc", "abc"]
    assert cache.made == 1


def test_the_least_recently_used_goes_first() -> None:
    cache = ByteCache[str](6, len)
    for key in ("a", "b"):
        cache.get(key, lambda: "xxx")
    cache.get("a", lambda: "")
    cache.get("c", lambda: "xxx")
    assert [key in cache for key in "abc"] == [True, False, True]


def test_a_value_larger_than_the_cache_is_handed_out_only() -> None:
    cache = ByteCache[str](3, len)
    cache.get("small", lambda: "x")
    assert cache.get("large", lambda: "xxxx") == "xxxx"
    assert "large" not in cache
    assert "small" in cache


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=60))
def test_it_never_holds_more_than_its_limit(requests: list[tuple[int, int]]) -> None:
    cache = ByteCache[str](20, len)
    for key, size in requests:
        cache.get((key, size), lambda size=size: "x" * size)
        assert cache.used <= 20
        assert cache.used == sum(len(value) for value in cache._values.values())


def test_threads_that_ask_together_wait_for_one() -> None:
    cache = ByteCache[str](10, len)
    together = threading.Barrier(8)
    begun = threading.Event()

    def make() -> str:
        begun.wait(timeout=0.2)
        return "abc"

    def ask(_: int) -> str:
        together.wait(timeout=10)
        return cache.get("a", make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == ["abc"] * 8
    assert cache.made == 1


def test_a_failure_reaches_the_caller_and_is_not_kept() -> None:
    cache = ByteCache[str](10, len)

    def fail() -> str:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        cache.get("a", fail)
    assert cache.get("a", lambda: "abc") == "abc"
