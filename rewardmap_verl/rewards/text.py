"""A model's text made safe to read: bounded, linear in its length, and never an error.

What a model writes is hostile input. Whatever it is, :func:`answer_windows` turns it into one or
two pieces of bounded length that hold the answer, without the model's thinking. All work on the
whole text is done by searches that run once over it; loops only run over the bounded pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

__all__ = ["answer_windows", "fold", "without_fences", "without_thinking"]

_HEAD_SHARE: Final = 4
"""The head of an over-long text is given one part in so many of the characters that are read."""

_THINK_OPENS: Final = ("<think>", "<thinking>", "<THINK>", "<Think>")
_THINK_CLOSES: Final = ("</think>", "</thinking>", "</THINK>", "</Think>")


def _folding() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
    table |= dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u200a\u202f\u3000"), " ")
    table |= dict.fromkeys(map(ord, "\u2028\u2029\u0085\x0b\x0c"), "\n")
    table |= {ord("\u2212"): "-", ord("\u3002"): "."}
    return table


_FOLDING: Final = MappingProxyType(_folding())
"""Full-width forms to ASCII, every space and line break to one kind, invisible marks to nothing."""

_FOLDED: Final = re.compile("[" + "".join(map(chr, _FOLDING)) + "]")


def fold(text: str) -> str:
    """Fold what only looks different: line ends, full-width forms, odd spaces, invisible marks."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and "\x0b" not in text and "\x0c" not in text:  # as most answers are
        return text
    return text.translate(_FOLDING) if _FOLDED.search(text) else text


def _first(text: str, tags: tuple[str, ...]) -> int:
    """Return where the first of the tags begins; the length of the text when none is there."""
    return min((at for at in map(text.find, tags) if at >= 0), default=len(text))


def without_thinking(text: str) -> str:
    """Leave out what a model only thought.

    The answer is what follows the last ``</think>``, and what stands before the first ``<think>``.
    After a ``<think>`` that nothing closes there is no answer.

    >>> without_thinking("<think>B? no, C</think>C")
    'C'
    """
    if "<" not in text:
        return text
    end = max(text.rfind(tag) + len(tag) * (tag in text) for tag in _THINK_CLOSES)
    begin = _first(text, _THINK_OPENS)
    if end <= 0:
        return text[:begin]
    tail = text[end:]
    tail = tail[: _first(tail, _THINK_OPENS)]
    head = text[:begin] if begin < end else ""
    return f"{head}\n{tail}" if head.strip() else tail


def answer_windows(response: object, limit: int) -> Iterator[str]:
    """Yield the pieces of a response in which to look for the answer, the likeliest first.

    A response within the limit is one piece. Of a longer one the end is read first, for there the
    answer stands, and then the beginning; the middle is not read.

    Args:
        response: What the model returned. Anything but a string holds no answer.
        limit: Most characters to read, in both pieces together.
    """
    if not isinstance(response, str):
        return
    text = without_thinking(response).strip()
    if len(text) <= limit:
        yield fold(text)
        return
    head = limit // _HEAD_SHARE
    yield fold(text[head - limit :])
    yield fold(text[:head])


def without_fences(text: str) -> str:
    """Leave out the lines that open or close a code block; what stands inside stays."""
    if "```" not in text:
        return text
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("```"))
