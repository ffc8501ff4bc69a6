"""Results of the checks before a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rewardmap_verl.errors import ConfigError, DataError, shorten

__all__ = ["NO_VALUE", "Diagnostic", "format_diagnostics"]

NO_VALUE = object()
"""Marks a diagnostic without a value to show; ``None`` is a value of the configuration."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of a run, or one warning."""

    key: str
    """Key, file or environment variable that it concerns."""
    hint: str
    """What is wrong and how to fix it, in sentences."""
    found: object = NO_VALUE
    """Value found there."""
    stops: bool = True
    """Whether it stops the run; otherwise it is a warning."""

    def __str__(self) -> str:
        shown = "" if self.found is NO_VALUE else f" (found {shorten(self.found)})"
        return f"{self.key}{shown}: {self.hint}"

    @classmethod
    def of(cls, error: ConfigError | DataError) -> Diagnostic:
        """Return the diagnostic for an error in the settings or the data."""
        found = NO_VALUE if error.found is None else error.found
        key = f"{error.where}: {error.field}" if error.field else error.where
        return cls(key, error.hint, found)


def format_diagnostics(diagnostics: Iterable[Diagnostic]) -> str:
    """Return diagnostics as lines of text: numbered problems first, then warnings."""
    ordered = list(diagnostics)
    problems = [one for one in ordered if one.stops]
    lines = [f"  {number}. {one}" for number, one in enumerate(problems, 1)]
    return "\n".join([*lines, *(f"  warning: {one}" for one in ordered if not one.stops)])
