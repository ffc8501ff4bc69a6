"""Detect unused keys in a composed configuration.

Hydra lets a recipe add any key, so a misspelled key has no effect and no error. Every key is looked
up in verl's reference configuration, in the dataclass that verl instantiates from its block, and in
the blocks of this package.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from typing import Any

import yaml

from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["reference_keys", "unknown_keys"]

OURS: Mapping[str, Any] = {
    "model_engine": None,
    "ray_kwargs": {"ray_init": None},
    "data": {
        "folder": None,
        "curriculum": None,
        "images": None,
        "zoom": None,
        "allow_seen_cities": None,
    },
    "reward": {"rewardmap": None},
    "trainer": {"allow_pickled_prompts": None},
}
"""Keys that verl's reference lacks. ``None``: keys below are checked elsewhere or arbitrary."""

_REFERENCES = {
    "ppo_trainer": "_generated_ppo_trainer.yaml",
    "ppo_megatron_trainer": "_generated_ppo_megatron_trainer.yaml",
    "sft_trainer_engine": "sft_trainer_engine.yaml",
}
_SFT_BLOCKS = {"model": None, "engine": None, "optim": None, "profiler": None}
"""Blocks from the defaults list of the SFT file; each becomes a dataclass that lists its keys."""


def reference_keys(program: str) -> dict[str, Any] | None:
    """Return verl's reference configuration with our keys; ``None`` if verl ships none.

    Args:
        program: Name of the program's configuration, such as ``ppo_trainer``.
    """
    name = _REFERENCES.get(program)
    path = files("verl.trainer.config") / name if name else None
    if path is None or not path.is_file():
        return None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster if available
    keys = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return _merged(keys, OURS if "ppo" in program else {**_SFT_BLOCKS, "data": {"folder": None}})


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        below = result.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merged(below, value)
        result[key] = value
    return result


def unknown_keys(
    config: Mapping[str, Any],
    known: Mapping[str, Any],
    on_purpose: Collection[str] = (),
    path: str = "",
) -> Iterator[Diagnostic]:
    """Find keys of ``config`` that ``known`` lacks.

    Args:
        config: The composed configuration as plain mappings.
        known: ``reference_keys``, or the part of it at ``path``. Below an empty mapping or a
            value that is not a mapping, any key is accepted.
        on_purpose: Keys that the user added with ``+`` on the command line.
        path: Dotted path of both, for messages.

    Yields:
        One diagnostic per key. It stops the run if a known key has a similar spelling or if verl
        would reject the key later. Otherwise, or if the user added the key on purpose, it warns.
    """
    declared = _declared(config.get("_target_"))
    for key, value in config.items():
        name = f"{path}.{key}" if path else str(key)
        if key in known or key in declared:
            yield from _below(value, known.get(key), on_purpose, name)
        elif declared:
            yield _refused(name, str(key), {*known, *declared})
        else:
            yield _unread(name, str(key), known, name in on_purpose)


def _below(value: Any, known: Any, on_purpose: Collection[str], name: str) -> Iterator[Diagnostic]:
    """Check the keys of a block, unless it accepts any."""
    if not isinstance(value, Mapping):
        return
    if isinstance(known, Mapping) and known:
        yield from unknown_keys(value, known, on_purpose, name)
    elif _declared(value.get("_target_")):
        yield from unknown_keys(value, {"_target_": None}, on_purpose, name)


def _declared(target: object) -> frozenset[str]:
    """Return the fields of the dataclass that a block becomes; empty if there is none."""
    module, _, name = str(target or "").rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None) if module else None
    except ImportError:
        return frozenset()
    if not (isinstance(found, type) and is_dataclass(found)):
        return frozenset()
    return frozenset(field.name for field in fields(found))


def _refused(name: str, key: str, known: Collection[str]) -> Diagnostic:
    guess = _guess(key, known)
    return Diagnostic(name, f"This key is unknown, and verl would reject it.{guess}")


def _unread(name: str, key: str, known: Collection[str], on_purpose: bool) -> Diagnostic:
    guess = _guess(key, known)
    text = f"Neither verl nor rewardmap-verl reads this key, so it has no effect.{guess}"
    return Diagnostic(name, text, stops=bool(guess) and not on_purpose)


def _guess(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, [str(one) for one in known], n=1, cutoff=0.75)
    return f" Did you mean {close[0]!r}?" if close else ""
