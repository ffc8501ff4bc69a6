"""Errors of the package: bad data, bad settings, and a run that has to stop.

``DataError`` and ``ConfigError`` are user-fixable. Each reports the location, the field,
the value found there and a hint. An unusual model answer is never an error; it is scored.
"""

from __future__ import annotations

__all__ = ["RESUME_HINT", "ConfigError", "DataError", "RunStoppedError", "shorten"]

_LONGEST_FOUND = 160

RESUME_HINT = "The last checkpoint is complete. Start the same command again to resume from there."
"""Closing sentence of a ``RunStoppedError`` after which the run can be resumed."""


def shorten(value: object, limit: int = _LONGEST_FOUND) -> str:
    """Return the repr of a value for an error message, shortened in the middle to ``limit``."""
    text = repr(value[: 2 * limit]) if isinstance(value, str | bytes) else repr(value)
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … {text[-half:]}"


def _visible(character: str) -> str:
    """Escape a character that would control the terminal, such as those in hostile names."""
    shown = character.isprintable() or character in "\n\t"
    return character if shown else repr(character)[1:-1]


class _UserFixableError(ValueError):
    """Base class of errors in something that the user supplied.

    Args:
        where: File, row, city or setting that is wrong.
        field: Field inside ``where``; empty if the error concerns all of it.
        found: Value found there; ``None`` if there is nothing to show.
        hint: Sentence that says how to fix it.
    """

    def __init__(
        self, where: object, field: str = "", found: object = None, hint: str = ""
    ) -> None:
        # All four go into ``args``, so that the error can be pickled between Ray workers.
        super().__init__(where, field, found, hint)
        self.where = str(where)
        self.field = field
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.field}" if self.field else self.where
        if self.found is not None:
            text += f": found {shorten(self.found)}"
        text = f"{text}. {self.hint}" if self.hint else text
        return "".join(map(_visible, text))


class DataError(_UserFixableError):
    """Unusable data: a network, a question, an image or a row."""


class ConfigError(_UserFixableError):
    """Unusable settings: an unknown key, a value out of range, or a contradiction."""


class RunStoppedError(RuntimeError):
    """A running training cannot continue; the message states the cause and the next step."""
