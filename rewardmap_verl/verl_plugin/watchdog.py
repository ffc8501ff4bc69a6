"""Abort a run that stalls, or that would train on an incomplete batch.

In stock verl 0.9.1:

- The trainer polls for finished rollouts without a timeout, so a vLLM engine that hangs blocks the
  run forever, without a message.
- A group with a failed answer (a reward worker died, an engine raised) is trained anyway, padded
  with sequences that have no image, on which Qwen2.5-VL crashes.
- A validation in which every answer failed ends with "Received an empty list as keys".

This module ends the run with the cause and a hint instead. The last checkpoint is complete, because
verl records a checkpoint as the last one only after it has been written.
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

__all__ = ["Deadline", "RolloutCounts", "StallDetector", "failed_groups", "failed_validation"]

EXIT_CODE = 70


@dataclass(frozen=True, slots=True)
class RolloutCounts:
    """Progress of a step's rollouts, from the metadata of the transfer queue."""

    finished: int
    """Groups with all their answers."""
    failed: int
    """Groups with a failed answer."""
    waiting: int
    """Groups that are pending or running."""
    answers: int
    """Finished answers of all groups."""


class StallDetector:
    """Detects that the counts have stopped changing.

    Args:
        seconds: Time without a change after which the run is stopped.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: RolloutCounts | None = None
        self._since = clock()

    def check(self, counts: RolloutCounts) -> None:
        """Compare the counts with those of the previous call.

        Raises:
            RunStoppedError: They have not changed for too long.
        """
        if counts != self._last:
            self._last, self._since = counts, self._clock()
        elif self._clock() - self._since >= self._seconds:
            raise RunStoppedError(
                f"rewardmap: no answer for {self._seconds:g} s: {counts.finished} groups finished, "
                f"{counts.waiting} waiting, {counts.answers} answers received. A vLLM engine or an "
                f"agent loop hangs or has died; see its log above. {RESUME_HINT} If answers just "
                "take long, raise trainer.v1.sampler.sampler_kwargs.stall_seconds."
            )


def failed_groups(step: int, counts: RolloutCounts) -> RunStoppedError:
    """Return the error for a step with failed groups."""
    total = counts.failed + counts.finished + counts.waiting
    return RunStoppedError(
        f"rewardmap: {counts.failed} of {total} groups of step {step} have a failed answer; see "
        "the agent loop's error above (a reward worker or an engine died, or an answer raised). "
        "Training on the rest would pad the batch with sequences without an image, on which "
        f"Qwen2.5-VL crashes. {RESUME_HINT}"
    )


def failed_validation(questions: int) -> RunStoppedError:
    """Return the error for a validation without a single answer."""
    return RunStoppedError(
        f"rewardmap: none of the {questions} questions of a validation was answered; see the agent "
        "loop's error above (a vLLM engine or a reward worker died, or every answer fails because "
        f"of a row, the model or a setting). {RESUME_HINT}"
    )


class Deadline:
    """Ends the process if anything other than rollouts hangs.

    That is an update, the transfer of weights to vLLM, or a checkpoint. An exception would not
    reach a main thread that waits inside Ray, so the process exits, after it has dumped the
    tracebacks of all threads. Ray then ends the run.

    Args:
        end: Function that ends the process with an exit code.
        linger: Seconds between the message and the exit. Ray forwards the output of its workers and
            drops what has not arrived when the run ends.
    """

    def __init__(self, end: Callable[[int], object] = os._exit, linger: float = 3.0) -> None:
        self._linger = linger
        self._end = end
        self._timer: threading.Timer | None = None

    def restart(self, phase: str, seconds: float, setting: str) -> None:
        """Start a new countdown.

        Args:
            phase: The phase of the run, for the message.
            seconds: Time until the deadline expires.
            setting: The key that sets this time, for the message.
        """
        self.cancel()
        self._timer = threading.Timer(seconds, self._expire, [phase, seconds, setting])
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Stop the countdown."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self, phase: str, seconds: float, setting: str) -> None:
        sys.stderr.write(
            f"rewardmap: {phase} did not finish within {seconds:g} s; stopping the run. One of its "
            "processes hangs or has died, in an update, a transfer of weights to vLLM or a "
            f"checkpoint. {RESUME_HINT} If it just takes long, raise "
            f"trainer.v1.sampler.sampler_kwargs.{setting}. Tracebacks of all threads:\n"
        )
        faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
        sys.stderr.flush()
        time.sleep(self._linger)
        self._end(EXIT_CODE)
