"""Usage statistics of Ray and vLLM: off unless the user turns them on."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

__all__ = ["OFF", "disable_usage_statistics"]

OFF = {"RAY_USAGE_STATS_ENABLED": "0", "VLLM_NO_USAGE_STATS": "1"}
"""Variables that turn the statistics off. ``RAY_USAGE_STATS_ENABLED=1`` and
``VLLM_NO_USAGE_STATS=0`` turn them on."""


def disable_usage_statistics(environ: MutableMapping[str, str] | None = None) -> None:
    """Set the variables that are not set, for this process and its children.

    Args:
        environ: Environment to change; ``os.environ`` by default.
    """
    values = os.environ if environ is None else environ
    for name, value in OFF.items():
        values.setdefault(name, value)
