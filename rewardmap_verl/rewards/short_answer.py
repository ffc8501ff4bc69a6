r"""Finding a short answer: yes or no, one letter of four, or a whole number.

``"So I count. \boxed{\text{B) 12}}"`` → option 1 (B), off-form but readable.

The *last* ``\boxed{…}`` that holds something is the answer. Without a box, the last sentence "the
answer is X" is, or a text that consists of nothing but X: right, and without credit for its form.

What a piece of text means is decided in :mod:`rewardmap_verl.rewards.values`.
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
    """Where the answer was found."""

    BOX = "box"
    SENTENCE = "sentence"
    BARE = "bare"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """What was read."""

    value: int | None
    """Yes 1, no 0; A to D 0 to 3; the number. ``None`` when nothing readable was found."""
    source: AnswerSource
    exact: bool
    """True when the box and its content are exactly as asked."""
    text: str
    """The piece of the response that was read."""


@dataclass(frozen=True, slots=True)
class BoxedText:
    r"""The last box of a text."""

    content: str
    plain: bool
    r"""True when it is spelled ``\boxed{``, as asked."""
    alone: bool
    """True when no other box of the text holds something else."""


_BRACES: Final = re.compile(r"[{}]|\\.", re.DOTALL)
"""A brace, or an escaped sign, which may be one."""

_BOX_BEFORE: Final = re.compile(r"oxed[ \t\n]{0,4}\Z", re.IGNORECASE)
r"""What makes a box of a brace that follows: ``\boxed``; its backslash may have eaten the b."""

_STATEMENT: Final = re.compile(
    r"(?:answer|答案)[*_ \t]{0,4}"
    r"(?:(?:is|should be|would be|must be|will be)(?![a-z])|[:=]|是|为)[*_ \t]{0,4}:?"
)
_FINAL: Final = ("final ", "最终")
_SENTENCE_END: Final = re.compile(r"\.(?=\s|$)|\.(?=[*\"')\]]{1,3}(?:\s|$))|\n|!")


def _boxes(text: str) -> Iterator[tuple[str, bool]]:
    """Yield content and spelling of every box whose braces balance, in the order they close.

    Of a content that is too long to be an answer, only so much that it stays too long.
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
    r"""Return the last ``\boxed{…}`` that holds something, or ``None``."""
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
    """Read a value outside of a box; beside a box that is empty or broken there is none."""
    return None if len(text) > MAX_VALUE_LENGTH or "oxed" in text.lower() else value_of(text, kind)


def _statements(text: str) -> Iterator[tuple[bool, str]]:
    """Yield what each "the answer is X" states, and whether it says "final"."""
    text = text.lower()
    for match in _STATEMENT.finditer(text):
        rest = text[match.end() : match.end() + MAX_VALUE_LENGTH].lstrip()
        end = _SENTENCE_END.search(rest)
        yield text.endswith(_FINAL, 0, match.start()), rest[: end.start()] if end else rest


def _stated(text: str, kind: AnswerKind) -> tuple[str, int] | None:
    """Return the last readable statement; one that is called final goes before the others."""
    best: tuple[str, int] | None = None
    best_final = False
    for final, piece in _statements(text):
        value = _unboxed_value(piece, kind) if final >= best_final else None
        if value is not None:
            best, best_final = (piece, value), final
    return best


def _bare(text: str) -> str:
    """Return the whole text as an answer: without code fence and without ``<answer>`` around it."""
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
    """Read the answer to a question of any type but planning.

    Args:
        response: What the model returned; anything but a string is unreadable.
        type: The type of the question.
        limit: Most characters to read, see :func:`~rewardmap_verl.rewards.text.answer_windows`.
    """
    kind = ANSWER_KINDS[type.reading]
    for window in answer_windows(response, limit):
        found = _read_piece(window, kind)
        if found is not None:
            return found
    return ShortAnswer(None, AnswerSource.NONE, False, "")
