"""Keys and import paths of earlier versions of this package, and their replacements.

The package keeps no aliases for old names. A recipe or script that still uses one gets the new
name instead of an import error after Ray has started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["MOVED_KEYS", "MOVED_PATHS", "moved_keys", "moved_path", "moved_values"]

_OLD_PATH = re.compile(r"(pkg://)?\b(rewardmap_verl\.training\b[\w.]*)")

MOVED_PATHS: Mapping[str, str] = MappingProxyType(
    {
        "rewardmap_verl.training.curriculum": "rewardmap_verl.verl_plugin.dataset",
        "rewardmap_verl.training.reward_manager": "rewardmap_verl.verl_plugin.reward_manager",
        "rewardmap_verl.training.replay_buffer": "rewardmap_verl.verl_plugin.replay_buffer",
        "rewardmap_verl.training.plugin": "rewardmap_verl.verl_plugin.plugin",
        "rewardmap_verl.training.images.agent_loop": "rewardmap_verl.verl_plugin.agent_loop",
        "rewardmap_verl.training.images.agent_loop_worker": "",
        "rewardmap_verl.training.guard.Guard": (
            "rewardmap_verl.preflight.callback.PreflightCallback"
        ),
        "rewardmap_verl.training.nodes": "rewardmap_verl.preflight.wait_for_nodes",
        "rewardmap_verl.training.cold_start_rows": "rewardmap_verl.tiny_model.sft_dataset",
        "rewardmap_verl.training.cpu.start_up": "",
        "rewardmap_verl.training.cpu": "rewardmap_verl.cpu",
    }
)
"""Import paths that a configuration can name. An empty replacement means: removed, use verl's."""

MOVED_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "hydra.callbacks.rewardmap_guard": "hydra.callbacks.rewardmap_preflight",
    }
)
"""Dotted keys of earlier recipes and their replacements."""


def moved_path(text: str) -> Diagnostic | None:
    """Return the diagnostic for a string that contains an old import path; ``None`` otherwise.

    Args:
        text: A value of the configuration, such as ``pkg://rewardmap_verl.training.curriculum``.
    """
    match = _OLD_PATH.search(text)
    if match is None:
        return None
    prefix, path = match.groups(default="")
    for old in sorted(MOVED_PATHS, key=len, reverse=True):
        if path == old or path.startswith(old + "."):
            new = MOVED_PATHS[old]
            if not new:
                return Diagnostic(text, "It was removed. Set the key to null.")
            return Diagnostic(text, f"It has moved. Use {prefix}{new}{path[len(old) :]}.")
    hint = "rewardmap_verl.training was split up; docs/architecture.md lists the new packages."
    return Diagnostic(text, hint)


def moved_values(config: Mapping[str, Any], path: str = "") -> Iterator[Diagnostic]:
    """Find values of a plain configuration that name an old import path."""
    for key, value in config.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from moved_values(value, name)
        elif isinstance(value, str) and (found := moved_path(value)) is not None:
            yield Diagnostic(name, found.hint, value)


def moved_keys(config: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Find old keys in a plain configuration."""
    for old, new in MOVED_KEYS.items():
        if _has(config, old):
            yield Diagnostic(old, f"This key was renamed. Use {new}.")


def _has(config: Mapping[str, Any], key: str) -> bool:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    return True
