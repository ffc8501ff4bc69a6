"""What the checks before a run report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rewardmap_verl.errors import ConfigError, DataError, shorten

__all__ = ["NOTHING", "Diagnostic", "report"]

NOTHING = object()
"""Stands for: there is no value to show."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing about a run that its user should fix, or know."""

    key: str
    """The key, file or variable that it is about."""
    hint: str
    """What is wrong with it and how to fix it, as sentences."""
    found: object = NOTHING
    """The value found there."""
    stops: bool = True
    """Whether the run must not start; otherwise it is a warning."""

    def __str__(self) -> str:
        shown = "" if self.found is NOTHING else f" (found {shorten(self.found)})"
        return f"{self.key}{shown}: {self.hint}"

    @classmethod
    def of(cls, error: ConfigError | DataError) -> Diagnostic:
        """The diagnostic that an error of the settings or the data stands for."""
        found = NOTHING if error.found is None else error.found
        key = f"{error.where}: {error.field}" if error.field else error.where
        return cls(key, error.hint, found)


def report(diagnostics: Iterable[Diagnostic]) -> str:
    """Findings as lines of text, those that stop the run numbered first."""
    ordered = list(diagnostics)
    stops = [f"  {number}. {one}" for number, one in enumerate((f for f in ordered if f.stops), 1)]
    warnings = [f"  warning: {one}" for one in ordered if not one.stops]
    return "\n".join([*stops, *warnings])
