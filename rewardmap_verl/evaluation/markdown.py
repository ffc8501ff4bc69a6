"""Escape names for Markdown: a model, city or folder may have any name, also a hostile one."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["code_span", "escape"]

_SPECIAL: Final = re.compile(r"[\\`*\[\]<>|~$]|(?<!\w)_|_(?!\w)|^[#+\-!=]")
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")


def _one_line(text: str) -> str:
    return _BREAKS.sub(" ", text).strip()


def escape(text: str) -> str:
    """Return text that Markdown renders literally, on one line, also in a table."""
    return _SPECIAL.sub(r"\\\g<0>", _one_line(text))


def code_span(text: str) -> str:
    r"""Return text as a code span, with ``|`` as ``\|``, which tables need.

    The fence is longer than any run of backticks in the text.
    """
    plain = _one_line(text).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if "`" in plain or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
