r"""Interpretation of a piece of text as yes or no, an option letter, or a number.

``"\\text{B) 12}"`` is option 1, ``"5 lines."`` and ``"five lines"`` are 5, ``"yes or no"`` has no
value.

Presentation is removed: LaTeX that only changes the look, Markdown, quotes, brackets and final
punctuation. Nothing is computed, and ambiguous text (two letters, ranges, lists) has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rewardmap_verl.questions.types import Reading
from rewardmap_verl.rewards.marks import BOX_COMMANDS
from rewardmap_verl.transit.names import line_key, loose_line_key, normalize

__all__ = [
    "ANSWER_KINDS",
    "MAX_VALUE_LENGTH",
    "NUMBER_WORDS",
    "TRUTH_WORDS",
    "AnswerKind",
    "option_of",
    "value_of",
]

MAX_VALUE_LENGTH: Final = 200
"""Maximum length of an answer in characters; longer text is prose."""

_COMMAND: Final = re.compile(r"\\([a-zA-Z]{1,20}|.)", re.DOTALL)
_LATEX: Final = MappingProxyType(
    dict.fromkeys(("approx", "simeq", "equiv"), "=")
    | {"circ": "°", "-": "-"}
    | dict.fromkeys(("text", "textbf", "textit", "textrm", "textsf", "texttt", "emph"), " ")
    | dict.fromkeys(("mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathbb", "mathcal"), " ")
    | dict.fromkeys(("mbox", "hbox", "underline", "operatorname", "boldsymbol", "bm"), " ")
    | dict.fromkeys(BOX_COMMANDS, " ")
    | dict.fromkeys(("left", "right", "displaystyle", "bf", "rm", "it", "large", "Large"), " ")
    | dict.fromkeys(("quad", "qquad", *" ,!;:%$#_&()[]{}~\n\\"), " ")
)
"""LaTeX commands that do not change the value, with their replacement. Others have no value."""

_WRAPPING: Final = MappingProxyType(str.maketrans("{}$*`", "     "))

_NUMBER: Final = re.compile(r"([+-]?)(\d{1,9})(?:\.0{0,6})?(?!\d)(.*)", re.DOTALL)
_EXPONENT: Final = re.compile(r"(?<=[a-z])\^\d")
_SMALL_NUMBERS: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    "nineteen",
)
_TENS: Final = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_CHINESE_DIGITS: Final = MappingProxyType(
    {char: number for number, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
)
_CHINESE_NUMERALS: Final = frozenset({*_CHINESE_DIGITS, "十"})


def _number_words() -> dict[str, int]:
    """Return the English words for 0 to 99; compounds are written with a hyphen."""
    words = {word: number for number, word in enumerate(_SMALL_NUMBERS)}
    for ten, word in enumerate(_TENS, 2):
        words[word] = 10 * ten
        words |= {f"{word}-{unit}": 10 * ten + i for i, unit in enumerate(_SMALL_NUMBERS[:10]) if i}
    return words


NUMBER_WORDS: Final = MappingProxyType(_number_words())
"""English words for 0 to 99."""

_WORD_UNITS: Final = frozenset(
    {"line", "lines", "stop", "stops", "station", "stations", "transfer", "transfers", "via"}
    | {"change", "changes", "interchange", "interchanges", "different", "distinct", "total"}
    | {"metro", "subway", "rail", "transit", "intermediate", "in"}
)
"""The only words that may follow a number word; prose such as "one cannot tell" has no value."""

_CHINESE_UNITS: Final = "条個个站次座号線线路地铁车"

_NO_UNIT: Final = frozenset(
    {"or", "and", "to", "versus", "vs", "或", "到", "至"}
    | {"minus", "plus", "times", "over", "point", "e", "hundred", "thousand", "million"}
    | {"st", "nd", "rd", "th"}
    | set(NUMBER_WORDS)
)
"""Words that change the meaning of the number before them."""

TRUTH_WORDS: Final = MappingProxyType(
    {"yes": 1, "true": 1, "是": 1, "是的": 1, "对": 1}
    | {"no": 0, "false": 0, "否": 0, "不是": 0, "不": 0, "错": 0}
)
"""Words for yes (1) and no (0)."""

_LETTER: Final = re.compile(r"([a-d])(?![^\W_])\s*(?:[).:\]、=-]\s*|(?=\d))?(.*)", re.DOTALL)
_OPTION_WORD: Final = re.compile(
    r"^(?:the )?(?:option|choice|answer|选项)\s*[:.]?\s*\(?(?=[a-d]\b)"
)


def _unwrap(text: str) -> str | None:
    """Remove LaTeX, Markdown and quotes; ``None`` if the LaTeX would have to be evaluated."""
    if len(text) > MAX_VALUE_LENGTH:
        return None
    if "\\" in text:
        names = [name for name in _COMMAND.findall(text) if name not in _LATEX]
        if names:
            return None
        text = _COMMAND.sub(lambda match: _LATEX[match.group(1)], text)
    return text.translate(_WRAPPING).strip().lower()


def _trim(text: str) -> str:
    """Strip everything except letters and digits from both ends."""
    begin, end = 0, len(text)
    while begin < end and not text[begin].isalnum():
        begin += 1
    while end > begin and not text[end - 1].isalnum():
        end -= 1
    return text[begin:end]


def _sides(text: str) -> list[str]:
    """Split at equals signs: "x = 3" has the side 3, "15 = b" the side b."""
    return text.replace("≈", "=").split("=")


def _one(values: list[int | None]) -> int | None:
    """Return the only value; ``None`` if there is no value or more than one."""
    found = [value for value in values if value is not None]
    return found[0] if len(found) == 1 else None


def _yes_no_side(text: str) -> int | None:
    return TRUTH_WORDS.get("".join(_trim(text).split()))


def _is_unit(text: str) -> bool:
    """Return whether the text after a number only names a unit: "lines", "km", "(see map)"."""
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
    text = _number_begin(text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _word_number(_trim(text))
    if not _is_unit(match.group(3)):
        return None
    return int(match.group(2)) * (-1 if match.group(1) == "-" else 1)


def _word_number(text: str) -> int | None:
    """Return the value of a number word with an optional unit: "three lines", "十二条"."""
    if text and text[0] in _CHINESE_NUMERALS:
        return _chinese_number(text)
    words = text.split()
    if len(words) > 1 and f"{words[0]}-{words[1]}" in NUMBER_WORDS:
        words = [f"{words[0]}-{words[1]}", *words[2:]]
    if not words or not _WORD_UNITS.issuperset(words[1:]):
        return None
    return NUMBER_WORDS.get(words[0])


def _chinese_number(text: str) -> int | None:
    """Return the value of Chinese numerals from 0 to 99 with an optional unit."""
    numeral = text.rstrip(_CHINESE_UNITS)
    tens, ten, units = numeral.rpartition("十")
    if len(tens) > 1 or len(units) > 1 or not set(tens + units) <= _CHINESE_DIGITS.keys():
        return None
    if not ten:
        return _CHINESE_DIGITS[units]
    return 10 * _CHINESE_DIGITS.get(tens, 1) + _CHINESE_DIGITS.get(units, 0)


def _number_begin(text: str) -> str:
    """Strip markup before a number, but not its sign or a decimal point."""
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
class AnswerKind:
    """How answers of one kind are read, and their exact format."""

    read: Callable[[str], int | None]
    asked: re.Pattern[str]


_YES_NO: Final = AnswerKind(_yes_no, re.compile(r"yes|no", re.IGNORECASE))
_OPTION: Final = AnswerKind(_letter, re.compile(r"[A-D]", re.IGNORECASE))
_COUNT: Final = AnswerKind(_number, re.compile(r"[0-9]{1,9}"))
ANSWER_KINDS: Final = MappingProxyType(
    {
        Reading.YES_NO: _YES_NO,
        Reading.OPTION: _OPTION,
        Reading.NUMBER: _COUNT,
    }
)


def value_of(text: str, kind: AnswerKind) -> int | None:
    """Return the value of a piece of text; ``None`` if it is not one unambiguous value."""
    plain = _unwrap(text)
    return None if plain is None else kind.read(plain)


def option_of(text: str, options: Sequence[str]) -> int | None:
    """Return the index of the option that a piece of text names; ``None`` if it is not one.

    The text is the name of an option, or its letter and its name: "Line 1", "B) Line 1".
    """
    plain = _unwrap(text)
    if plain is None:
        return None
    names = [_name_keys(option) for option in options]
    match = _LETTER.fullmatch(_OPTION_WORD.sub("", _trim(plain)))
    if match is not None and match.group(2):
        index = "abcd".index(match.group(1))
        if index < len(names) and not names[index].isdisjoint(_answer_keys(match.group(2))):
            return index
    keys = _answer_keys(plain)
    return _one([i if not keys.isdisjoint(name) else None for i, name in enumerate(names)])


def _name_keys(text: str) -> frozenset[str]:
    """Return the keys under which a name of a stop or line is compared."""
    return frozenset({normalize(text), line_key(text)}) - {""}


def _answer_keys(text: str) -> frozenset[str]:
    """Return the keys of a name as an answer writes it, with or without an article."""
    return _name_keys(text) | ({loose_line_key(text)} - {""})
