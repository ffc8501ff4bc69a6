"""Kill a process at every system call that renames or removes a path, one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from rewardmap_verl.preparation import atomic

__all__ = ["kill_points"]

_CALLS = ("rename", "replace", "unlink", "remove", "rmdir", "link")
_KILLED = 137
_MOST = 200


def kill_points(action: Callable[[], object], exchange: bool = True) -> Iterator[int]:
    """Run an action in a child process that dies before its n-th call, for n = 1, 2, …

    Yields n after each killed child, so that the caller can look at what is left and prepare the
    next one. Ends when a child comes through; the death before call n is also the death after
    call n - 1. Without ``exchange`` the file system cannot exchange two folders in one call.
    """
    for number in range(1, _MOST):
        child = os.fork()
        if child == 0:
            _act(action, number, exchange)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, _KILLED), f"the action failed before call {number}"
        if code == 0:
            assert number > 1, "the action renames and removes nothing"
            return
        yield number
    raise AssertionError(f"more than {_MOST} calls")


def _act(action: Callable[[], object], number: int, exchange: bool) -> None:
    left = number

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(_KILLED)
            return call(*args, **kwargs)

        return count

    try:
        for name in _CALLS:
            setattr(os, name, counted(getattr(os, name)))
        atomic._exchange = counted(atomic._exchange) if exchange else lambda first, second: False
        action()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)
    os._exit(0)
