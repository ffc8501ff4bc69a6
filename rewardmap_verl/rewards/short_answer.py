r"""Extraction of a short answer: yes or no, one of four letters, or an integer.

``"So I count. \boxed{\text{B) 12}}"`` → option 1 (B), readable but not in the exact format.

The last complete answer counts: the last non-empty ``\boxed{…}`` or answer block. Without either,
it is the last sentence "the answer is X" or JSON field ``"answer": X``, a text that consists of X
only, or a last line that consists of X only. Answers without a box can be correct but earn no
format reward. A hedge ("A or B", two different bare answers on lines of their own) is no answer.

``rewardmap_verl.rewards.marks`` lists the marks, and ``rewardmap_verl.rewards.values``
interprets the extracted text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.marks import BOX_COMMANDS, answer_block
from rewardmap_verl.rewards.text import answer_windows, without_fences
from rewardmap_verl.rewards.values import (
    ANSWER_KINDS,
    MAX_VALUE_LENGTH,
    AnswerKind,
    option_of,
    value_of,
)

__all__ = ["AnswerSource", "BoxedText", "ShortAnswer", "last_box", "read_short_answer"]


class AnswerSource(str, Enum):
    """Part of the response that contains the answer."""

    BOX = "box"
    BLOCK = "block"
    SENTENCE = "sentence"
    BARE = "bare"
    LAST_LINE = "last line"
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
    end: int
    """Position of its closing brace."""


_BRACES: Final = re.compile(r"[{}]|\\.", re.DOTALL)
"""A brace, or an escaped character, which may be a brace."""

_BOX_BEFORE: Final = re.compile(r"(?:oxed|\\f(?:rame)?box)[ \t\n]{0,4}\Z", re.IGNORECASE)
r"""A box command before a brace; without its backslash, as a string escape may swallow ``\b``."""

_STATEMENT: Final = re.compile(
    r'"(?:final[_ ])?answer"\s{0,4}:\s{0,4}(?P<json>"[^"\n]{0,200}"|[-+.a-z0-9]{1,20}(?![^\s,}\]]))'
    r"|(?:answer|答案)[*_ \t]{0,4}"
    r"(?:(?:is|should be|would be|must be|will be)(?![a-z])|[:=]|是|为)[*_ \t]{0,4}:?"
)
"""A JSON field with the answer, or the beginning of "the answer is X"."""

_LINE_MARKUP: Final = " \t*_`\"'()$.>-"
_LAST_LINES: Final = 64
"""Number of lines at the end in which a second bare answer makes the last line a hedge."""

_FINAL: Final = ("final ", "最终")
_SENTENCE_END: Final = re.compile(r"\.(?=\s|$)|\.(?=[*\"')\]]{1,3}(?:\s|$))|\n|!")


def _boxes(text: str) -> Iterator[tuple[str, bool, int]]:
    """Yield (content, plain, end) of every box with balanced braces, in the order they close.

    Content that is too long for an answer is cut to one character above the maximum.
    """
    stack: list[tuple[int, bool] | None] = []
    for token in _BRACES.finditer(text):
        found, at = token.group(), token.start()
        if found == "{":
            is_box = _BOX_BEFORE.search(text, max(0, at - 14), at)
            stack.append((at + 1, text.endswith("\\boxed", 0, at)) if is_box else None)
        elif found == "}":
            opened = stack.pop() if stack else None
            if opened is not None:
                content = text[opened[0] : min(at, opened[0] + MAX_VALUE_LENGTH + 1)]
                yield content, opened[1], at


def last_box(text: str) -> BoxedText | None:
    r"""Return the last non-empty ``\boxed{…}``, or ``None``."""
    if not _has_box(text):
        return None
    last: tuple[str, bool, int] | None = None
    alone = True
    for content, plain, end in _boxes(text):
        if not content.isspace() and content:
            alone = alone and (last is None or last[0] == content or f"{{{last[0]}}}" in content)
            last = content, plain, end
    return None if last is None else BoxedText(last[0], last[1], alone, last[2])


def _has_box(text: str) -> bool:
    """Return whether the text may have a box command."""
    return any(command in text for command in ("oxed", "OXED", *BOX_COMMANDS[1:]))


@dataclass(frozen=True, slots=True)
class _ValueReader:
    """Reader of the values of one question."""

    kind: AnswerKind
    options: Sequence[str]
    """Names of the options; empty if the question has none or they are numbers."""

    def read(self, text: str) -> int | None:
        """Return the value of a short text."""
        if len(text) > MAX_VALUE_LENGTH:
            return None
        value = value_of(text, self.kind)
        return option_of(text, self.options) if value is None and self.options else value

    def read_unboxed(self, text: str) -> int | None:
        """Return the value of a text outside a box; a text with an empty or broken box has none."""
        return None if _has_box(text[: MAX_VALUE_LENGTH + 1]) else self.read(text)


def _statements(text: str) -> Iterator[tuple[bool, str]]:
    """Yield X of each "the answer is X", and whether the sentence says "final"."""
    text = text.lower()
    for match in _STATEMENT.finditer(text):
        if match["json"] is not None:
            yield True, match["json"]
            continue
        rest = text[match.end() : match.end() + MAX_VALUE_LENGTH].lstrip()
        end = _SENTENCE_END.search(rest)
        yield text.endswith(_FINAL, 0, match.start()), rest[: end.start()] if end else rest


def _stated(text: str, reader: _ValueReader) -> tuple[str, int] | None:
    """Return the last readable statement; statements with "final" take precedence."""
    best: tuple[str, int] | None = None
    best_final = False
    for final, piece in _statements(text):
        value = reader.read_unboxed(piece) if final >= best_final else None
        if value is not None:
            best, best_final = (piece, value), final
    return best


def _last_line(text: str, kind: AnswerKind) -> str | None:
    """Return the last line if it is a bare answer and no line near it is a different one."""
    lines = text.rsplit("\n", _LAST_LINES)[-_LAST_LINES:]
    bare = [line.strip(_LINE_MARKUP) for line in lines if line and not line.isspace()]
    answers = {line.lower() for line in bare if kind.asked.fullmatch(line)}
    last = bare[-1] if bare else ""
    return last if answers == {last.lower()} else None


def _read_unboxed(text: str, reader: _ValueReader) -> ShortAnswer | None:
    """Read an answer that has neither a box nor an answer block."""
    stated = _stated(text, reader)
    if stated is not None:
        return ShortAnswer(stated[1], AnswerSource.SENTENCE, False, stated[0])
    bare = without_fences(text).strip()
    value = reader.read_unboxed(bare)
    if value is not None:
        return ShortAnswer(value, AnswerSource.BARE, False, bare)
    last = None if _has_box(text) else _last_line(bare, reader.kind)
    if last is None:
        return None
    return ShortAnswer(reader.read(last), AnswerSource.LAST_LINE, False, last)


def _read_box(box: BoxedText, reader: _ValueReader) -> ShortAnswer:
    asked = reader.kind.asked.fullmatch(box.content.strip()) is not None
    exact = box.plain and box.alone and asked
    return ShortAnswer(reader.read(box.content), AnswerSource.BOX, exact, box.content)


def _read_block(content: str, reader: _ValueReader) -> ShortAnswer:
    """Read an answer block without a box; like a box, it counts even if it is unreadable."""
    found = _read_unboxed(content, reader)
    value = None if found is None else found.value
    return ShortAnswer(value, AnswerSource.BLOCK, False, content[: MAX_VALUE_LENGTH + 1])


def _read_piece(text: str, reader: _ValueReader) -> ShortAnswer | None:
    box, block = last_box(text), answer_block(text)
    if block is not None and (box is None or box.end < block[0]):
        return _read_block(block[1], reader)
    return _read_unboxed(text, reader) if box is None else _read_box(box, reader)


def read_short_answer(
    response: object, type: QuestionType, limit: int, options: Sequence[object] = ()
) -> ShortAnswer:
    """Read the answer to a question of any type except planning.

    Args:
        response: The model's response. Values that are not strings are unreadable.
        type: Type of the question.
        limit: Maximum number of characters to read, see
            ``answer_windows``.
        options: Options of a multiple-choice question. If they are names, an answer may give the
            name instead of the letter.
    """
    names = [option for option in options if isinstance(option, str)]
    reader = _ValueReader(ANSWER_KINDS[type.reading], names)
    for window in answer_windows(response, limit):
        found = _read_piece(window, reader)
        if found is not None:
            return found
    return ShortAnswer(None, AnswerSource.NONE, False, "")
