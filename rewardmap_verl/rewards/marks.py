r"""Marks around thinking and answers: one table for the reward and for every reader of answers.

========================  =====================================================================
mark                      meaning
========================  =====================================================================
thinking block            its content is a draft; nothing after an unclosed block is an answer
answer block              its content is the answer
``\boxed``, ``\fbox``      its content is the answer
special token             not part of the text
========================  =====================================================================

docs/reward.md has the same table with examples.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "ANSWER_MARKS",
    "BOX_COMMANDS",
    "THINKING_MARKS",
    "answer_block",
    "without_special_tokens",
    "without_thinking",
]

THINKING_MARKS: Final = (
    ("<think>", "</think>"),  # DeepSeek-R1, Qwen3, GLM-4.5
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("[THINK]", "[/THINK]"),  # Magistral
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),  # gpt-oss
)
"""Opening and closing mark of a thinking block."""

ANSWER_MARKS: Final = (
    ("<answer>", "</answer>"),
    ("<final_answer>", "</final_answer>"),
    ("<|begin_of_box|>", "<|end_of_box|>"),  # GLM-4.1V, GLM-4.5V
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
)
"""Opening and closing mark of an answer block; the first pair stands for all of them."""

BOX_COMMANDS: Final = ("boxed", "fbox", "framebox")
"""LaTeX commands that put a box around an answer. Questions ask for the first."""

_SPECIAL_TOKEN: Final = re.compile(
    r"<\|[^<>|\n]{1,60}\|>|</?s>|<(?:eos|bos|pad|unk)>|<(?:start|end)_of_turn>|\[(?:EOS|BOS|PAD)\]"
)
"""Tokens that a tokenizer leaves in the text if it decodes with special tokens."""


_THINK_OPENINGS: Final = (*(opening for opening, _ in THINKING_MARKS), "<THINK>", "<Think>")
_THINK_CLOSINGS: Final = (*(closing for _, closing in THINKING_MARKS), "</THINK>", "</Think>")
_ANSWER_OPENING, _ANSWER_CLOSING = ANSWER_MARKS[0]
_ANSWER_TAG: Final = re.compile(
    "(" + "|".join(re.escape(opening) for opening, _ in ANSWER_MARKS) + ")|"
    "(?:" + "|".join(re.escape(closing) for _, closing in ANSWER_MARKS) + ")",
    re.IGNORECASE | re.ASCII,
)


def _first(text: str, marks: tuple[str, ...]) -> int:
    """Return the position of the first mark, or the length of the text if there is none."""
    return min((at for at in map(text.find, marks) if at >= 0), default=len(text))


def _last_end(text: str, marks: tuple[str, ...]) -> int:
    """Return the position after the last mark, or 0 if there is none."""
    found = ((text.rfind(mark), len(mark)) for mark in marks)
    return max((at + length for at, length in found if at >= 0), default=0)


def without_thinking(text: str) -> str:
    """Remove thinking blocks.

    The answer is the text after the last closing mark and before the first opening mark. Nothing
    after an unclosed block counts.

    >>> without_thinking("<think>B? no, C</think>C")
    'C'
    """
    if "<" not in text and "◁" not in text and "[" not in text:
        return text
    begin = _first(text, _THINK_OPENINGS)
    end = _last_end(text, _THINK_CLOSINGS)
    if end == 0:
        return text[:begin]
    tail = text[end:]
    tail = tail[: _first(tail, _THINK_OPENINGS)]
    head = text[:begin] if begin < end else ""
    return f"{head}\n{tail}" if head.strip() else tail


def without_special_tokens(text: str) -> str:
    """Write every answer block as ``<answer>…</answer>`` and remove all other special tokens."""
    if "<" not in text and "[" not in text:
        return text
    text = _ANSWER_TAG.sub(lambda tag: _ANSWER_OPENING if tag.group(1) else _ANSWER_CLOSING, text)
    return _SPECIAL_TOKEN.sub("\n", text).strip()


def answer_block(text: str) -> tuple[int, str] | None:
    """Return position and content of the last non-empty answer block, ``None`` if there is none.

    A block that is not closed extends to the end. The text must come from
    ``without_special_tokens``.
    """
    begin = text.rfind(_ANSWER_OPENING)
    while begin >= 0:
        at = begin + len(_ANSWER_OPENING)
        end = text.find(_ANSWER_CLOSING, at)
        content = text[at:] if end < 0 else text[at:end]
        if content.strip():
            return at, content
        begin = text.rfind(_ANSWER_OPENING, 0, begin)
    return None
