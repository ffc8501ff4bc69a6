"""Write data as scripts: a page opened from the disk may load scripts but not fetch files.

A model's text cannot leave the data: scripts are ASCII and contain neither ``<`` nor ``&`` nor a
line separator, so that no text can end a script or start another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["as_script", "write_script"]

_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def as_script(name: str, value: Any) -> str:
    """Return a script that passes a JSON value to the page under a name."""
    return f"report.take({_json(name)},{_json(value)});\n"


def write_script(path: Path, name: str, value: Any) -> int:
    """Write a script and return its size in bytes."""
    text = as_script(name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(text.encode("ascii"))


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPED)
