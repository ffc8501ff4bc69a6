"""Preprocessing of a model's text: bounded, linear in its length, and never an error.

Model output is hostile input. ``answer_windows`` reduces any value to one or two pieces of
bounded length that contain the answer, without the model's thinking. The full text is only
scanned by single-pass searches; loops run over the bounded pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from rewardmap_verl.rewards.marks import without_special_tokens, without_thinking

__all__ = ["answer_windows", "fold", "without_fences"]

_HEAD_SHARE: Final = 4
"""1 / share of the characters read from an over-long text that come from its beginning."""


def _folding() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
    table |= dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u200a\u202f\u3000"), " ")
    table |= dict.fromkeys(map(ord, "\u2028\u2029\u0085\x0b\x0c"), "\n")
    table |= {ord("\u2212"): "-", ord("\u3002"): "."}
    return table


_FOLDING: Final = MappingProxyType(_folding())
"""Maps full-width forms to ASCII, unifies spaces and line breaks, and drops invisible marks."""

_FOLDED: Final = re.compile("[" + "".join(map(chr, _FOLDING)) + "]")


def fold(text: str) -> str:
    """Normalize line ends, full-width forms, unusual spaces and invisible marks."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and "\x0b" not in text and "\x0c" not in text:  # the common case
        return text
    return text.translate(_FOLDING) if _FOLDED.search(text) else text


def answer_windows(response: object, limit: int) -> Iterator[str]:
    """Yield the pieces of a response to search for the answer, the most likely one first.

    A response within the limit is one piece. Of a longer one, the end is read first because the
    answer is usually there, and then the beginning. The middle is not read.

    Args:
        response: The model's response. Values that are not strings contain no answer.
        limit: Maximum number of characters in both pieces together.
    """
    if not isinstance(response, str):
        return
    text = without_thinking(response).strip()
    if len(text) <= limit:
        yield without_special_tokens(fold(text))
        return
    head = limit // _HEAD_SHARE
    yield without_special_tokens(fold(text[head - limit :]))
    yield without_special_tokens(fold(text[:head]))


def without_fences(text: str) -> str:
    """Remove the lines that open or close a code block, but keep its content."""
    if "```" not in text:
        return text
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("```"))
