"""Detect command-line overrides that Hydra accepts but that do not do what the user means.

``+recip=rewardmap`` is valid for Hydra: it adds a key that nothing reads, and verl trains with its
defaults. No recipe is composed then, so no callback runs, and the words themselves are checked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.preflight.moved import MOVED_KEYS, moved_path

__all__ = ["added_keys", "mistakes"]

RECIPE = "recipe"
NAME = "rewardmap"
OPTIONS = {"recipe/rewardmap": NAME, "recipe/rewardmap_sft": "rewardmap_sft"}
"""Option groups, and the recipe that each one modifies."""


@dataclass(frozen=True, slots=True)
class Override:
    """One override of the command line, such as ``+recipe=rewardmap``."""

    sign: str
    """``+``, ``++``, ``~`` or empty."""
    key: str
    """Key without its package (``@…``)."""
    value: str
    text: str
    """The override as typed."""


def parse(word: str) -> Override | None:
    """Parse a word; return ``None`` if it is not an override, such as ``--cfg``."""
    match = re.fullmatch(r"(\+\+?|~)?([\w./@:-]+?)(?:=(.*))?", word, flags=re.DOTALL)
    if match is None or word.startswith("-") or not (match[1] or match[3] is not None):
        return None
    return Override(match[1] or "", match[2].split("@")[0], match[3] or "", word)


def parse_all(words: Iterable[str]) -> list[Override]:
    """Return the overrides among the words of a command line."""
    return [override for word in words if (override := parse(word)) is not None]


def added_keys(words: Iterable[str]) -> frozenset[str]:
    """Return the keys that the user adds explicitly, with ``+`` or ``++``."""
    return frozenset(one.key for one in parse_all(words) if one.sign.startswith("+"))


def mistakes(words: Sequence[str]) -> Iterator[Diagnostic]:
    """Find misspelled recipes, options without effect, and names of earlier versions."""
    overrides = parse_all(words)
    yield from filter(None, map(_misspelled, overrides))
    yield from _ineffective_options(overrides)
    yield from filter(None, map(_moved, overrides))


def _misspelled(override: Override) -> Diagnostic | None:
    if (
        not override.sign.startswith("+")
        or override.key in (RECIPE, *OPTIONS)
        or "." in override.key
    ):
        return None
    if not any(_close(part) for part in re.split(r"[/=,\[\]\s'\"]", override.text)):
        return None
    wanted = closest_group(override.key) if "/" in override.key else RECIPE
    return Diagnostic(
        override.text,
        "Hydra reads this as a plain key, and verl would train with its defaults. "
        f"Did you mean +{wanted}={override.value}?",
    )


def closest_group(key: str) -> str:
    """Return the option group that is most similar to a misspelled key."""
    return max(OPTIONS, key=lambda group: difflib.SequenceMatcher(None, key, group).ratio())


def _close(part: str) -> bool:
    return difflib.SequenceMatcher(None, part.strip("+").lower(), NAME).ratio() >= 0.8


def _ineffective_options(overrides: Sequence[Override]) -> Iterator[Diagnostic]:
    """Report options without a recipe, or before it; Hydra composes in the order of the words."""
    keys = [one.key for one in overrides if one.sign != "~"]
    for group, recipe in OPTIONS.items():
        if group not in keys:
            continue
        if RECIPE not in keys:
            yield Diagnostic(
                f"+{group}", f"Options modify a recipe; add +{RECIPE}={recipe} before them."
            )
        elif keys.index(group) < keys.index(RECIPE):
            yield Diagnostic(
                f"+{group}", f"The recipe would override the options; put +{RECIPE}=… before them."
            )


def _moved(override: Override) -> Diagnostic | None:
    """Report old names that make Hydra itself fail, before any callback runs."""
    for old, new in MOVED_KEYS.items():
        if override.key == old or override.key.startswith(old + "."):
            return Diagnostic(
                override.text, f"This key was renamed. Use {new}{override.key[len(old) :]}."
            )
    found = moved_path(override.value)
    return None if found is None else Diagnostic(override.text, found.hint)
