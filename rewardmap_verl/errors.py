"""The two errors that a user can fix: something is wrong with the data, or with the settings.

Both say where the fault is, in which field, what was found there, and how to fix it.
A strange answer of a model is never an error; it is scored.
"""

from __future__ import annotations

__all__ = ["ConfigError", "DataError", "shorten"]

_LONGEST_FOUND = 160


def shorten(value: object, limit: int = _LONGEST_FOUND) -> str:
    """Show a value in an error message: its repr, cut in the middle beyond ``limit`` characters."""
    text = repr(value[: 2 * limit]) if isinstance(value, str | bytes) else repr(value)
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {text[-half:]}"


class _UserFixableError(ValueError):
    """A fault in something that the user supplied.

    Args:
        where: The file, row, city or setting at fault.
        field: The field inside it; empty when the whole of it is at fault.
        found: What was found there; ``None`` when there is nothing to show.
        hint: A sentence that tells how to fix it.
    """

    def __init__(
        self, where: object, field: str = "", found: object = None, hint: str = ""
    ) -> None:
        # All four go to ``args`` so that the error survives pickling between Ray workers.
        super().__init__(where, field, found, hint)
        self.where = str(where)
        self.field = field
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.field}" if self.field else self.where
        if self.found is not None:
            text += f": found {shorten(self.found)}"
        return f"{text}. {self.hint}" if self.hint else text


class DataError(_UserFixableError):
    """Data that cannot be used: a network, a question, an image or a row."""


class ConfigError(_UserFixableError):
    """Settings that cannot be used: an unknown key, a value out of range, a contradiction."""
