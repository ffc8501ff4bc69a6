"""The option ``--format`` of the commands whose results a script may read."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["Format", "FormatOption", "plain_text", "write_json"]


class Format(str, Enum):
    """Formats of a command's results."""

    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[
    Format,
    typer.Option("--format", help="Tables to read, or JSON with the same values for scripts."),
]


def write_json(value: Any) -> None:
    """Write a value as JSON to standard output; lone surrogates become escapes."""
    typer.echo(json.dumps(value, ensure_ascii=True))


def plain_text(text: str, style: str = "") -> Text:
    """Return literal text for rich, with unprintable characters escaped."""
    from rich.text import Text

    return Text(text.encode("utf-8", "backslashreplace").decode("utf-8"), style=style)
