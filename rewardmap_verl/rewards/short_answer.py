r"""Extraction of a short answer: yes or no, one of four letters, or an integer.

``"So I count. \boxed{\text{B) 12}}"`` → option 1 (B), readable but not in the exact format.

The *last* non-empty ``\boxed{…}`` is the answer. Without a box, it is the last sentence "the
answer is X" or a text that consists of X only; these can be correct but earn no format reward.

:mod:`rewardmap_verl.rewards.values` interprets the extracted text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.text import answer_windows, without_fences
from rewardmap_verl.rewards.values import ANSWER_KINDS, MAX_VALUE_LENGTH, AnswerKind, value_of

__all__ = ["AnswerSource", "BoxedText", "ShortAnswer", "last_box", "read_short_answer"]


class AnswerSource(str, Enum):
    """Part of the response that contains the answer."""

    BOX = "box"
    SENTENCE = "sentence"
    BARE = "bare"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """The answer extracted from a response."""

    value: int | None
    """1 for yes, 0 for no; 0 to 3 for A to D; or the number. ``None`` if unreadable."""
    source: AnswerSource
    exact: bool
    """True if the box and its content are exactly in the requested format."""
    text: str
    """The piece of the response that contains the answer."""


@dataclass(frozen=True, slots=True)
class BoxedText:
    r"""The last box of a text."""

    content: str
    plain: bool
    r"""True if it is spelled ``\boxed{``, as requested."""
    alone: bool
    """True if no other box of the text has different content."""


_BRACES: Final = re.compile(r"[{}]|\\.", re.DOTALL)
"""A brace, or an escaped character, which may be a brace."""

_BOX_BEFORE: Final = re.compile(r"oxed[ \t\n]{0,4}\Z", re.IGNORECASE)
r"""``\boxed`` before a brace; a string escape may have turned ``\b`` into a control character."""

_STATEMENT: Final = re.compile(
    r"(?:answer|答案)[*_ \t]{0,4}"
    r"(?:(?:is|should be|would be|must be|will be)(?![a-z])|[:=]|是|为)[*_ \t]{0,4}:?"
)
_FINAL: Final = ("final ", "最终")
_SENTENCE_END: Final = re.compile(r"\.(?=\s|$)|\.(?=[*\"')\]]{1,3}(?:\s|$))|\n|!")


def _boxes(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (content, plain) of every box with balanced braces, in the order they close.

    Content that is too long for an answer is cut to one character above the maximum.
    """
    stack: list[tuple[int, bool] | None] = []
    for token in _BRACES.finditer(text):
        found, at = token.group(), token.start()
        if found == "{":
            is_box = _BOX_BEFORE.search(text, max(0, at - 8), at)
            stack.append((at + 1, text.endswith("\\boxed", 0, at)) if is_box else None)
        elif found == "}":
            opened = stack.pop() if stack else None
            if opened is not None:
                yield text[opened[0] : min(at, opened[0] + MAX_VALUE_LENGTH + 1)], opened[1]


def last_box(text: str) -> BoxedText | None:
    r"""Return the last non-empty ``\boxed{…}``, or ``None``."""
    if "oxed" not in text and "OXED" not in text:
        return None
    last: tuple[str, bool] | None = None
    alone = True
    for content, plain in _boxes(text):
        if not content.isspace() and content:
            alone = alone and (last is None or last[0] == content or f"{{{last[0]}}}" in content)
            last = content, plain
    return None if last is None else BoxedText(last[0], last[1], alone)


def _unboxed_value(text: str, kind: AnswerKind) -> int | None:
    """Read a value outside a box; text with an empty or broken box has none."""
    return None if len(text) > MAX_VALUE_LENGTH or "oxed" in text.lower() else value_of(text, kind)


def _statements(text: str) -> Iterator[tuple[bool, str]]:
    """Yield X of each "the answer is X", and whether the sentence says "final"."""
    text = text.lower()
    for match in _STATEMENT.finditer(text):
        rest = text[match.end() : match.end() + MAX_VALUE_LENGTH].lstrip()
        end = _SENTENCE_END.search(rest)
        yield text.endswith(_FINAL, 0, match.start()), rest[: end.start()] if end else rest


def _stated(text: str, kind: AnswerKind) -> tuple[str, int] | None:
    """Return the last readable statement; statements with "final" take precedence."""
    best: tuple[str, int] | None = None
    best_final = False
    for final, piece in _statements(text):
        value = _unboxed_value(piece, kind) if final >= best_final else None
        if value is not None:
            best, best_final = (piece, value), final
    return best


def _bare(text: str) -> str:
    """Return the text without a code fence and without ``<answer>`` tags around it."""
    text = without_fences(text).strip()
    lowered = text[:8].lower(), text[-9:].lower()
    return text[8:-9] if lowered == ("<answer>", "</answer>") else text


def _read_piece(text: str, kind: AnswerKind) -> ShortAnswer | None:
    box = last_box(text)
    if box is not None:
        value = value_of(box.content, kind)
        asked = kind.asked.fullmatch(box.content.strip()) is not None
        return ShortAnswer(value, AnswerSource.BOX, box.plain and box.alone and asked, box.content)
    stated = _stated(text, kind)
    if stated is not None:
        return ShortAnswer(stated[1], AnswerSource.SENTENCE, False, stated[0])
    whole = _bare(text)
    value = _unboxed_value(whole, kind)
    return None if value is None else ShortAnswer(value, AnswerSource.BARE, False, whole)


def read_short_answer(response: object, type: QuestionType, limit: int) -> ShortAnswer:
    """Read the answer to a question of any type except planning.

    Args:
        response: The model's response. Values that are not strings are unreadable.
        type: Type of the question.
        limit: Maximum number of characters to read, see
            :func:`~rewardmap_verl.rewards.text.answer_windows`.
    """
    kind = ANSWER_KINDS[type.reading]
    for window in answer_windows(response, limit):
        found = _read_piece(window, kind)
        if found is not None:
            return found
    return ShortAnswer(None, AnswerSource.NONE, False, "")
