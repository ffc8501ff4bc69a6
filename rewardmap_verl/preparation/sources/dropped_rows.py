"""Rows of a source that are not used: counted, and named in the notes for the user."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from rewardmap_verl.errors import DataError

__all__ = ["DroppedRows"]

_SPLITS: Final = {"train": "training", "test": "test"}
_NAMED: Final = {"train": 3, "test": 30}
"""Number of dropped rows that a note names. Test rows matter more: metrics are about the others."""


class DroppedRows:
    """Collection of dropped rows.

    Args:
        strict: Whether the first dropped row is an error. Repeated rows are never an error.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._rows: defaultdict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, split: str, reason: str, name: str) -> None:
        """Add a row.

        Args:
            split: "train" or "test".
            reason: Why it is dropped, as a phrase after "questions".
            name: The row, or another example for the note.

        Raises:
            DataError: Rows must not be dropped (``strict``).
        """
        self._check(f"{_SPLITS[split]} questions {reason}", name)
        self._rows[split, reason].append(name)

    def add_city(self, city: str, reason: str) -> None:
        """Check whether a city may be skipped.

        Raises:
            DataError: It may not (``strict``).
        """
        self._check("cities without a map or network", f"{city}: {reason}")

    def add_repeated(self, split: str, name: str, detail: str = "") -> None:
        """Add a row that repeats the question of another row."""
        self._rows[split, f"that repeat another row{detail}"].append(name)

    def _check(self, what: str, example: str) -> None:
        if self._strict:
            hint = "Run without --strict to drop them."
            raise DataError("published data", what, example, hint)

    def notes(self) -> tuple[str, ...]:
        """Return one note for each split and reason, test rows first."""
        return tuple(
            self._note(split, reason, names)
            for split, reason, names in sorted(
                ((split, reason, names) for (split, reason), names in self._rows.items()),
                key=lambda item: (item[0] != "test", item[1]),
            )
        )

    @staticmethod
    def _note(split: str, reason: str, names: list[str]) -> str:
        shown = list(dict.fromkeys(names))[: _NAMED[split]]
        more = f"; and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        questions = "question" if len(names) == 1 else "questions"
        return (
            f"Dropped {len(names)} {_SPLITS[split]} {questions} {reason}: {'; '.join(shown)}{more}"
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of dropped rows by split and reason."""
        found: dict[str, dict[str, int]] = {}
        for (split, reason), names in sorted(self._rows.items()):
            found.setdefault(split, {})[reason] = len(names)
        return found
