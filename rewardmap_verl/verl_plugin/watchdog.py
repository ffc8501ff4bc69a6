"""Ends a run that would hang, or that would train on what a failure left over.

What stock verl 0.9.1 does: its trainer looks for finished rollouts without end, so a vLLM engine
that hangs stops the run for good without a word. A group of which an answer failed (its reward
worker has died, its engine raised) is trained all the same, filled up with sequences that have no
image, on which Qwen2.5-VL crashes. A validation of which all answers failed ends with "Received an
empty list as keys". Here they end the run with what happened and what to do; the
last checkpoint is whole, for verl names it as the last only after it is written.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rewardmap_verl.errors import RESUME_HINT, RunStoppedError

__all__ = [
    "Deadline",
    "Progress",
    "Stall",
    "failed_groups",
    "failed_validation",
]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rollouts of a step are, as the transfer queue shows it."""

    finished: int
    """Groups with all their answers."""
    failed: int
    """Groups with an answer that failed."""
    waiting: int
    """Groups that are not begun, or not finished."""
    answers: int
    """Answers that are there, of all groups."""


class Stall:
    """Notices that nothing happens any more.

    Args:
        seconds: How long nothing may happen.
        clock: Seconds that only grow.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: Progress | None = None
        self._since = clock()

    def look(self, now: Progress) -> None:
        """Compare with the last look.

        Raises:
            RunStoppedError: Nothing has changed for too long.
        """
        if now != self._last:
            self._last, self._since = now, self._clock()
        elif self._clock() - self._since >= self._seconds:
            raise RunStoppedError(
                f"rewardmap: no answer has come for {self._seconds:g} s: {now.finished} groups are "
                f"finished, {now.waiting} wait, {now.answers} answers are there. A vLLM engine or "
                f"an agent loop hangs or has died; its log is above. {RESUME_HINT} If answers only take "
                "long, raise trainer.v1.sampler.sampler_kwargs.stall_seconds."
            )


def failed_groups(step: int, now: Progress) -> RunStoppedError:
    """The error for a step of which groups failed."""
    return RunStoppedError(
        f"rewardmap: {now.failed} of {now.failed + now.finished + now.waiting} groups of step "
        f"{step} have an answer that failed; the agent loop's error is above (a reward worker or a "
        "vLLM engine that died, or an answer that raised). Training on the rest would fill the "
        f"batch with sequences without an image, on which Qwen2.5-VL crashes. {RESUME_HINT}"
    )


def failed_validation(questions: int) -> RunStoppedError:
    """The error for a validation of which no question has an answer."""
    return RunStoppedError(
        f"rewardmap: none of {questions} questions of a validation was answered; the agent loop's "
        "error is above (a vLLM engine or a reward worker that died, or something about a row, the "
        f"model or a setting that stops every answer). {RESUME_HINT}"
    )


class Deadline:
    """Ends the process when something else than rollouts hangs: an update, the hand-over of weights
    to vLLM, a checkpoint.

    No exception reaches a main thread that waits inside Ray, so the process itself ends, after it
    has shown where each of its threads stands. Ray then ends the run.

    Args:
        end: What ends the process, with its exit code.
        linger: Seconds between the message and the end: Ray collects what its workers write, and
            shows it no more when the run has ended.
    """

    def __init__(self, end: Callable[[int], object] = os._exit, linger: float = 3.0) -> None:
        self._linger = linger
        self._end = end
        self._timer: threading.Timer | None = None

    def push(self, doing: str, seconds: float, setting: str) -> None:
        """Begin to wait anew.

        Args:
            doing: What is going on, for the message.
            seconds: How long may pass until the next call.
            setting: The key that says so, for the message.
        """
        self.stop()
        self._timer = threading.Timer(seconds, self._expire, [doing, seconds, setting])
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self, doing: str, seconds: float, setting: str) -> None:
        sys.stderr.write(
            f"rewardmap: {doing} has not ended within {seconds:g} s; the run is stopped. A process "
            "of it hangs or has died, in an update, the hand-over of weights to a vLLM engine or a "
            f"checkpoint. {RESUME_HINT} If it only takes long, raise "
            f"trainer.v1.sampler.sampler_kwargs.{setting}. Where each thread stands:\n"
        )
        faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
        sys.stderr.flush()
        time.sleep(self._linger)
        self._end(70)
