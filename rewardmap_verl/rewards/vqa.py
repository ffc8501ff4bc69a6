r"""Reading a short answer: yes or no, one letter of four, or a whole number.

``"So I count. \boxed{\text{B) 12}}"`` → option 1 (B), off-form but readable.

The *last* ``\boxed{…}`` that holds something is the answer. Without a box, the last sentence "the
answer is X" is, or a text that consists of nothing but X: right, and without credit for its form.

Nothing is calculated: LaTeX that means a value (fractions, roots, sums) is not read, and neither is
what leaves a choice open (two letters, ranges, lists).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.text import answer_windows, without_fences

__all__ = ["Boxed", "Place", "ShortAnswer", "last_box", "read_short_answer"]


class Place(str, Enum):
    """Where the answer was found."""

    BOX = "box"
    SENTENCE = "sentence"
    BARE = "bare"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class ShortAnswer:
    """What was read."""

    value: int | None
    """Yes 1, no 0; A to D 0 to 3; the number. ``None`` when nothing readable was found."""
    place: Place
    exact: bool
    """True when the box and its content are exactly as asked."""
    text: str
    """The piece of the response that was read."""


@dataclass(frozen=True, slots=True)
class Boxed:
    r"""The last box of a text."""

    content: str
    plain: bool
    r"""True when it is spelled ``\boxed{``, as asked."""
    alone: bool
    """True when no other box of the text holds something else."""


_LONGEST: Final = 200
"""Characters of a piece that may be an answer; a longer one is prose."""

_BRACES: Final = re.compile(r"[{}]|\\.", re.DOTALL)
"""A brace, or an escaped sign, which may be one."""

_BOX_BEFORE: Final = re.compile(r"oxed[ \t\n]{0,4}\Z", re.IGNORECASE)
r"""What makes a box of a brace that follows: ``\boxed``; its backslash may have eaten the b."""

_COMMAND: Final = re.compile(r"\\([a-zA-Z]{1,20}|.)", re.DOTALL)
_LATEX: Final = MappingProxyType(
    dict.fromkeys(("approx", "simeq", "equiv", "to", "rightarrow"), "=")
    | {"circ": "°", "-": "-"}
    | dict.fromkeys(("text", "textbf", "textit", "textrm", "textsf", "texttt", "emph"), " ")
    | dict.fromkeys(("mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathbb", "mathcal"), " ")
    | dict.fromkeys(("mbox", "hbox", "boxed", "underline", "operatorname", "boldsymbol", "bm"), " ")
    | dict.fromkeys(("left", "right", "displaystyle", "bf", "rm", "it", "large", "Large"), " ")
    | dict.fromkeys(("quad", "qquad", *" ,!;:%$#_&()[]{}~\n\\"), " ")
)
"""LaTeX commands that mean nothing for the value, and what stands for them; others are not read."""

_WRAPPING: Final = MappingProxyType(str.maketrans("{}$*`", "     "))

_NUMBER: Final = re.compile(r"([+-]?)(\d{1,9})(?:\.0{0,6})?(?!\d)(.*)", re.DOTALL)
_EXPONENT: Final = re.compile(r"(?<=[a-z])\^\d")
_NO_UNIT: Final = frozenset(
    {"or", "and", "to", "versus", "vs", "或", "到", "至"}
    | {"minus", "plus", "times", "over", "point", "e", "hundred", "thousand", "million"}
    | {"st", "nd", "rd", "th"}
)
"""Words that make something else of the number before them."""
_LETTER: Final = re.compile(r"([a-d])(?![^\W_])\s*(?:[).:\]、=-]\s*|(?=\d))?(.*)", re.DOTALL)
_OPTION_WORD: Final = re.compile(
    r"^(?:the )?(?:option|choice|answer|选项)\s*[:.]?\s*\(?(?=[a-d]\b)"
)
_STATEMENT: Final = re.compile(
    r"(?:answer|答案)[*_ \t]{0,4}"
    r"(?:(?:is|should be|would be|must be|will be)(?![a-z])|[:=]|是|为)[*_ \t]{0,4}:?"
)
_FINAL: Final = ("final ", "最终")
_SENTENCE_END: Final = re.compile(r"\.(?=\s|$)|\.(?=[*\"')\]]{1,3}(?:\s|$))|\n|!")

_Reader = Callable[[str], "int | None"]


def _boxes(text: str) -> Iterator[tuple[str, bool]]:
    """Yield content and spelling of every box whose braces balance, in the order they close."""
    stack: list[tuple[int, bool] | None] = []
    for token in _BRACES.finditer(text):
        found, at = token.group(), token.start()
        if found == "{":
            is_box = _BOX_BEFORE.search(text, max(0, at - 8), at)
            stack.append((at + 1, text.endswith("\\boxed", 0, at)) if is_box else None)
        elif found == "}":
            opened = stack.pop() if stack else None
            if opened is not None:
                yield text[opened[0] : at], opened[1]


def last_box(text: str) -> Boxed | None:
    r"""Return the last ``\boxed{…}`` that holds something, or ``None``."""
    if "oxed" not in text and "OXED" not in text:
        return None
    last: tuple[str, bool] | None = None
    alone = True
    for content, plain in _boxes(text):
        if not content.isspace() and content:
            alone = alone and (last is None or last[0] == content or f"{{{last[0]}}}" in content)
            last = content, plain
    return None if last is None else Boxed(last[0], last[1], alone)


def _unwrap(text: str) -> str | None:
    """Take off LaTeX, Markdown and quotes; ``None`` when the LaTeX would have to be calculated."""
    if len(text) > _LONGEST:
        return None
    if "\\" in text:
        names = [name for name in _COMMAND.findall(text) if name not in _LATEX]
        if names:
            return None
        text = _COMMAND.sub(lambda match: _LATEX[match.group(1)], text)
    return text.translate(_WRAPPING).strip().lower()


def _trim(text: str, keep: str = "") -> str:
    """Take off what is no letter, digit or sign to keep, at both ends."""
    begin, end = 0, len(text)
    while begin < end and not (text[begin].isalnum() or text[begin] in keep):
        begin += 1
    while end > begin and not text[end - 1].isalnum():
        end -= 1
    return text[begin:end]


def _sides(text: str) -> list[str]:
    """Return what stands between equals signs: "x = 3" is 3, "15 = b" is b."""
    return text.replace("≈", "=").split("=")


def _one(values: list[int | None]) -> int | None:
    """Return the one value that was read; ``None`` for none and for several."""
    found = [value for value in values if value is not None]
    return found[0] if len(found) == 1 else None


def _yes_no_side(text: str) -> int | None:
    return {"yes": 1, "no": 0}.get("".join(_trim(text).split()))


def _is_unit(text: str) -> bool:
    """Say whether what follows a number only names what was counted: "lines", "km", "(see map)"."""
    text = text.rstrip(" .,;:!?)]\"'。、")
    if not text:
        return True
    words = text.replace("(", " ").replace(")", " ").split()
    return (
        len(words) <= 4
        and text[0] not in ",;:/*+-~–—."
        and not any(
            char.isnumeric() for char in _EXPONENT.sub("", text) if not "一" <= char <= "鿿"
        )
        and not any(char in "-/–—~+*,;" for char in text)
        and _NO_UNIT.isdisjoint(words)
    )


def _number_side(text: str) -> int | None:
    text = text.lstrip()
    text = text[2:] if text.startswith(("- ", "+ ")) else text
    match = _NUMBER.fullmatch(_number_begin(text))
    if match is None or not _is_unit(match.group(3)):
        return None
    return int(match.group(2)) * (-1 if match.group(1) == "-" else 1)


def _number_begin(text: str) -> str:
    """Take off the decoration before a number; a sign or a decimal point is none."""
    begin = 0
    while begin < len(text) and not (text[begin].isalnum() or text[begin] in "+-."):
        begin += 1
    return text[begin:]


def _letter_side(text: str) -> int | None:
    match = _LETTER.fullmatch(_OPTION_WORD.sub("", _trim(text)))
    if match is None or (match.group(2) and _number_side(match.group(2)) is None):
        return None
    return "abcd".index(match.group(1))


def _yes_no(text: str) -> int | None:
    return _one([_yes_no_side(side) for side in _sides(text)])


def _letter(text: str) -> int | None:
    return _one([_letter_side(side) for side in _sides(text)])


def _number(text: str) -> int | None:
    return _number_side(_sides(text)[-1])


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the answers of one kind are read, and what exactly is asked for."""

    read: _Reader
    asked: re.Pattern[str]


_YES_NO: Final = _Kind(_yes_no, re.compile(r"yes|no", re.IGNORECASE))
_OPTION: Final = _Kind(_letter, re.compile(r"[A-D]", re.IGNORECASE))
_COUNT: Final = _Kind(_number, re.compile(r"[0-9]{1,9}"))
_KINDS: Final = MappingProxyType(
    {
        QuestionType.TORF1: _YES_NO,
        QuestionType.TORF2: _YES_NO,
        QuestionType.COUNTING1: _OPTION,
        QuestionType.COUNTING2: _COUNT,
        QuestionType.COUNTING3: _COUNT,
    }
)


def _value(text: str, kind: _Kind) -> int | None:
    plain = _unwrap(text)
    return None if plain is None else kind.read(plain)


def _unboxed_value(text: str, kind: _Kind) -> int | None:
    """Read a value outside of a box; beside a box that is empty or broken there is none."""
    return None if len(text) > _LONGEST or "oxed" in text.lower() else _value(text, kind)


def _statements(text: str) -> Iterator[tuple[bool, str]]:
    """Yield what each "the answer is X" states, and whether it says "final"."""
    text = text.lower()
    for match in _STATEMENT.finditer(text):
        rest = text[match.end() : match.end() + _LONGEST].lstrip()
        end = _SENTENCE_END.search(rest)
        yield text.endswith(_FINAL, 0, match.start()), rest[: end.start()] if end else rest


def _stated(text: str, kind: _Kind) -> tuple[str, int] | None:
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


def _read_piece(text: str, kind: _Kind) -> ShortAnswer | None:
    box = last_box(text)
    if box is not None:
        value = _value(box.content, kind)
        asked = kind.asked.fullmatch(box.content.strip()) is not None
        return ShortAnswer(value, Place.BOX, box.plain and box.alone and asked, box.content)
    stated = _stated(text, kind)
    if stated is not None:
        return ShortAnswer(stated[1], Place.SENTENCE, False, stated[0])
    whole = _bare(text)
    value = _unboxed_value(whole, kind)
    return None if value is None else ShortAnswer(value, Place.BARE, False, whole)


def read_short_answer(response: object, type: QuestionType, limit: int) -> ShortAnswer:
    """Read the answer to a question of any type but planning.

    Args:
        response: What the model returned; anything but a string is unreadable.
        type: The type of the question.
        limit: Most characters to read, see :func:`~rewardmap_verl.rewards.text.answer_windows`.
    """
    kind = _KINDS[type]
    for window in answer_windows(response, limit):
        found = _read_piece(window, kind)
        if found is not None:
            return found
    return ShortAnswer(None, Place.NOWHERE, False, "")
