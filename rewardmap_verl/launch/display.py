"""Lines on the terminal, with a live status line below them if it is one."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["Display"]

_CONTROL = dict.fromkeys([*range(9), *range(10, 32), *range(127, 160)])
"""Control characters except tabs; output of a run may contain text of models."""


class Display:
    """Prints lines. On a terminal, a status line with the phase and the elapsed time follows them.

    Without a terminal (a file, a pipe, CI) only the lines are printed.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._begun = time.monotonic()
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[rest]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._live.add_task("", total=None, rest="")

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    @property
    def elapsed(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._begun

    def line(self, text: str, style: str | None = None) -> None:
        """Print a line above the status line."""
        text = text.translate(_CONTROL)
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def status(self, text: str, done: int = 0, total: int | None = None, rest: str = "") -> None:
        """Set the status line.

        Args:
            text: The current phase.
            done: Finished steps.
            total: All steps; ``None`` shows a moving bar.
            rest: Text beside the bar, such as the remaining time.
        """
        self._live.update(self._task, description=text, completed=done, total=total, rest=rest)
