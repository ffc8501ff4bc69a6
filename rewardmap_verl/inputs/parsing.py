"""Parse JSON and YAML from outside: every fault is a ``ValueError``, and the cost is bounded.

The parsers of the libraries also raise ``RecursionError`` for deep nesting, and a few kilobytes of
YAML aliases expand to gigabytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import yaml

__all__ = ["MALFORMED", "parse_json", "parse_yaml"]

MALFORMED: Final = (AttributeError, KeyError, OSError, OverflowError, TypeError, ValueError)
"""What reading a file and taking its values apart raises if it has another shape."""


class _WithoutAliases(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, "aliases are not read; write the value out", event.start_mark
            )
        return super().compose_node(parent, index)


def parse_json(
    text: str | bytes, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """Parse a JSON value.

    Args:
        text: The JSON. Bytes are UTF-8, UTF-16 or UTF-32.
        object_pairs_hook: As for ``json.loads``.

    Raises:
        ValueError: It is not JSON, nests too deeply, or has an integer of more than 4,300 digits.
    """
    try:
        return json.loads(text, object_pairs_hook=object_pairs_hook)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def parse_yaml(text: str) -> Any:
    """Parse a YAML document of plain data, without aliases.

    Raises:
        ValueError: It is not YAML, has a tag or an alias, or nests too deeply.
    """
    try:
        return yaml.load(text, Loader=_WithoutAliases)
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None
