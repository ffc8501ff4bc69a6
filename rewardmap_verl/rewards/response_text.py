"""Text of a response, in whatever shape a program saved it.

=====================================================  =========================================
shape                                                  written by
=====================================================  =========================================
``"…"``                                                most programs
``["…"]``, ``[["…"]]``                                 lm-eval and lmms-eval (``filtered_resps``)
``[{"type": "text", "text": "…"}, …]``                 content parts of chat APIs
``{"role": "assistant", "content": …}``                a message
``[{"role": "user", …}, {"role": "assistant", …}]``    a conversation; its last answer counts
``{"choices": [{"message": …}]}``                      a completion of the OpenAI API
``null``, ``NaN``                                      a failed model call: no text
=====================================================  =========================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rewardmap_verl.errors import DataError

__all__ = ["last_turn", "response_text"]

_HINT: Final = (
    'Give one answer per row as text, or as content parts [{"type": "text", "text": "…"}].'
)
_DEPTH: Final = 6
_NOT_ANSWER: Final = ("reasoning", "thinking", "redacted_thinking", "refusal")
"""Types of content parts that are not part of the answer."""


_CALL_END: Final = "</tool_call>"
_TURN: Final = "\nassistant\n"


def last_turn(response: object) -> object:
    """Return the last turn of a trajectory that verl dumped; only this turn is scored.

    verl writes the turns of the model and of its tools as one text, without special tokens. A text
    without a tool call, and a value that is not a text, is returned as it is.
    """
    if not isinstance(response, str) or _CALL_END not in response:
        return response
    before, end, after = response.partition(_CALL_END)
    return after.rpartition(_TURN)[2] if _TURN in after else before + end + after


class _UnknownShapeError(Exception):
    """A response without a defined text."""


def response_text(value: object, where: str, field: str = "response") -> str | None:
    """Return the text of a response; ``None`` for a failed model call.

    Numbers and truth values become text. A thinking part of a message is skipped.

    Args:
        value: Any JSON value.
        where: Location of the row, for the error.
        field: Field of the row, for the error.

    Raises:
        DataError: The value has another shape, or it has several answers.
    """
    if isinstance(value, str):
        return value
    try:
        return _text(value, _DEPTH)
    except _UnknownShapeError:
        raise DataError(where, field, value, _HINT) from None


def _text(value: object, depth: int) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, str | int | float):
        return str(value)
    if depth and isinstance(value, Mapping):
        return _of_mapping(value, depth - 1)
    if depth and isinstance(value, Sequence) and value:
        return _of_list(value, depth - 1)
    raise _UnknownShapeError


def _of_mapping(value: Mapping[object, object], depth: int) -> str | None:
    """Return the text of a content part, a message, a choice or a completion."""
    for name in ("text", "content", "message"):
        if name in value:
            return _text(value[name], depth)
    choices = value.get("choices")
    if isinstance(choices, Sequence) and len(choices) == 1:
        return _text(choices[0], depth)
    raise _UnknownShapeError


def _of_list(value: Sequence[object], depth: int) -> str | None:
    if len(value) == 1:
        return _text(value[0], depth)
    if not all(isinstance(one, Mapping) for one in value):
        raise _UnknownShapeError
    entries = [one for one in value if isinstance(one, Mapping)]
    if any("role" in one for one in entries):
        answers = [one for one in entries if one.get("role") == "assistant"]
        return _text(answers[-1], depth) if answers else _raise()
    parts = [_text(one, depth) for one in entries if one.get("type") not in _NOT_ANSWER]
    return "".join(part for part in parts if part is not None)


def _raise() -> str:
    raise _UnknownShapeError
