"""Facts from the output of a run: phases of its start, warnings, the cause of a failure.

Steps and validations come from the record instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["NOT_STARTED", "PHASES", "cause_of_failure", "clean", "ended_phase", "notes_in"]

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PREFIX = re.compile(r"^\([^()]* pid=\d+[^()]*\) ?")
"""What Ray writes before a line of another process."""

PHASES: Sequence[tuple[str, str]] = (
    ("Started a local Ray instance", "Ray is running"),
    ("Connected to Ray cluster", "connected to the Ray cluster"),
    ("dataloader initialized", "data are checked"),
    ("actor and ref model engine initialized", "actor and reference model are loaded"),
    ("checkpoint engine manager initialized", "vLLM is running"),
)
"""Texts of Ray and of verl's trainer, each with the phase of the start that it ends, in order."""

NOT_STARTED = "the run was stopped before it started"
"""Part of the message of the preflight check, which is complete without the log."""

_OWN_ERROR = re.compile(r"^(?:[\w.]*(?:RunStoppedError|ConfigError|DataError): )(?:rewardmap: )?")
_OWN = "rewardmap: "
_ANY_ERROR = re.compile(r"^[\w.]*(?:Error|Exception|Exit|Interrupt)(?:\([\w.]*\))?(?::|$)")
_MOST_LINES = 30


def clean(line: str) -> str:
    """Return a line without terminal codes and without Ray's prefix."""
    return _PREFIX.sub("", _ESCAPES.sub("", line.rpartition("\r")[2] or line))


def ended_phase(line: str) -> str | None:
    """Return the phase of the start that a line of the output ends."""
    return next((name for text, name in PHASES if text in line), None)


def notes_in(lines: Sequence[str]) -> Iterator[str]:
    """Yield the warnings of the preflight check and the verdict of a smoke run."""
    for line in map(clean, lines):
        if line.startswith(("  warning: ", "smoke: ")):
            yield line.strip()


def cause_of_failure(lines: Sequence[str]) -> list[str]:
    """Return the lines that say why a run ended; empty if none is recognized.

    Messages of this package come first: they name the cause and the next step. Otherwise it is the
    last error of the output.
    """
    text = [clean(line) for line in lines]
    for number in range(len(text) - 1, -1, -1):
        line = text[number]
        if line.startswith(_OWN) or _OWN_ERROR.match(line):
            return _block(text, number)
    errors = [line for line in text if _ANY_ERROR.match(line)]
    return errors[-1:]


def _block(text: Sequence[str], number: int) -> list[str]:
    """Return a message and the lines that continue it."""
    found = [_OWN_ERROR.sub("", text[number]).removeprefix(_OWN)]
    for line in text[number + 1 : number + _MOST_LINES]:
        if not line.startswith(("  ", "`rewardmap")) or line.startswith("  File "):
            break
        found.append(line)
    return found
