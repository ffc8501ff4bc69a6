"""Data as scripts: a page that is opened from the disk may load scripts and may not fetch files.

What a model wrote is data and stays data: everything is ASCII, and neither ``<`` nor ``&`` nor a
line separator stands in a script, so that no text can end it or start another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["as_script", "write_script"]

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def as_script(name: str, value: Any) -> str:
    """A script that hands a JSON-able value to the page under a name."""
    return f"report.take({_json(name)},{_json(value)});\n"


def write_script(path: Path, name: str, value: Any) -> int:
    """Write a script; returns its size in bytes."""
    text = as_script(name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(text.encode("ascii"))


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)
