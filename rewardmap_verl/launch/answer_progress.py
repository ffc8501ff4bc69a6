"""Progress of a model that answers questions: a bar, or lines without a terminal."""

from __future__ import annotations

import time

from rewardmap_verl.launch.display import Display
from rewardmap_verl.launch.step_lines import PACE, clock

__all__ = ["AnswerProgress"]


class AnswerProgress:
    """Counts answers on a display; call it with the number of new answers.

    Args:
        display: Where progress is shown.
        total: Answers that are wanted.
    """

    def __init__(self, display: Display, total: int) -> None:
        self._display = display
        self._total = total
        self._done = 0
        self._first: tuple[float, int] | None = None
        """Time of the first answers of this process, and the answers at that time."""
        self._printed_at = time.monotonic()
        display.status("loading the model")

    def __call__(self, count: int) -> None:
        """Count answers; those of an earlier attempt come in the first call, before the others."""
        self._done += count
        if not count or self._done == self._total:
            return
        now = time.monotonic()
        text, rest = f"{self._done}/{self._total} questions answered", self._remaining(now)
        self._display.status(text, self._done, self._total, rest)
        if not self._display.console.is_terminal and now - self._printed_at >= PACE:
            self._printed_at = now
            self._display.line(f"{text}  {rest}".rstrip())

    def _remaining(self, now: float) -> str:
        """Return the expected time, once there is a pace; loading a model does not count."""
        if self._first is None:
            self._first = (now, self._done)
            return ""
        begun, before = self._first
        pace = (now - begun) / max(1, self._done - before)
        return f"eta {clock(pace * (self._total - self._done))}"
