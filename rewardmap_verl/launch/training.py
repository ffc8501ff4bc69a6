"""Run a planned training with quiet output."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from rewardmap_verl.inputs.followed_file import FollowedFile
from rewardmap_verl.launch.display import Display
from rewardmap_verl.launch.follow import FollowedRecord
from rewardmap_verl.launch.log_text import (
    NOT_STARTED,
    PHASES,
    cause_of_failure,
    clean,
    ended_phase,
    notes_in,
)
from rewardmap_verl.launch.process import run_program
from rewardmap_verl.launch.run_plan import RunPlan
from rewardmap_verl.launch.step_lines import StepLines, clock

__all__ = ["run_training"]

LAST_LINES = 15
"""Lines of the log that are shown after a failure."""
KEPT_LINES = 2000
"""Lines that are kept to find the cause of a failure."""


def run_training(
    plan: RunPlan, display: Display, verbose: bool = False, every: int | None = None
) -> int:
    """Run a training and print its progress.

    Args:
        plan: The run.
        display: Where to print.
        verbose: Print the complete output of the run as well.
        every: Steps per line; by default one, or more if steps are short.

    Returns:
        The exit code of the program; 128 + N after signal N.
    """
    progress = _Progress(plan, display, verbose, every)
    code = run_program(plan.command, plan.log, plan.variables, progress.poll, progress.stopping)
    progress.end()
    if progress.stopped:
        display.line("The run was stopped. The same command resumes it.", style="yellow")
    elif code:
        _explain(code, list(progress.lines), plan.log, display)
    return code


class _Progress:
    """Follows the log and the record of a run and prints what is new."""

    def __init__(self, plan: RunPlan, display: Display, verbose: bool, every: int | None) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        """The end of the output."""
        self.stopped = False
        """Whether a signal was passed on."""
        self._display = display
        self._verbose = verbose
        size = plan.log.stat().st_size if plan.log.is_file() else 0
        self._log = FollowedFile(plan.log, size)
        self._record = FollowedRecord(plan.record) if plan.record else None
        self._steps = StepLines(plan.steps, plan.stages, every)
        self._phases = [name for _, name in PHASES]
        self._noted: set[str] = set()

    def poll(self) -> None:
        """Print what is new."""
        self._read_log()
        for entry in self._record.read() if self._record else ():
            self._phases.clear()
            for line in self._steps.add(entry):
                self._display.line(line)
        self._show_status()

    def stopping(self) -> None:
        """Tell the user that the run is being ended."""
        self.stopped = True
        self._display.line("Stopping; Ctrl-C again kills the run.", style="yellow")

    def end(self) -> None:
        """Print the last validation."""
        for line in self._steps.validation():
            self._display.line(line)

    def _read_log(self) -> None:
        added = self._log.read()
        self.lines += added
        for line in added if self._verbose else ():
            self._display.line(clean(line))
        for note in notes_in(added):
            if note not in self._noted:
                self._noted.add(note)
                self._display.line(note, style="yellow")
        for line in added:
            self._end_phase(ended_phase(line))

    def _end_phase(self, name: str | None) -> None:
        if name in self._phases:
            del self._phases[: self._phases.index(name) + 1]
            self._display.line(f"{clock(self._display.elapsed):>5}  {name}")

    def _show_status(self) -> None:
        steps = self._steps
        if self.stopped:
            self._display.status("stopping")
        elif steps.step:
            rest = "" if steps.remaining is None else f"eta {clock(steps.remaining)}"
            self._display.status(
                f"{steps.step}/{steps.steps} {steps.stage}", steps.step, steps.steps, rest
            )
        else:
            self._display.status("starting" if self._phases else "validating")


def _explain(code: int, lines: Sequence[str], log: Path, display: Display) -> None:
    """Print why a run ended, and the last lines of its output."""
    cause = cause_of_failure(lines)
    display.line(f"The run ended with exit code {code}.", style="red")
    for line in cause:
        display.line(line, style="red")
    if not any(NOT_STARTED in line for line in cause[:1]):
        display.line(f"Last lines of {log}:")
        for line in lines[-LAST_LINES:]:
            display.line(f"  {clean(line)}")
