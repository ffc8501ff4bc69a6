"""Mistakes on the command line that Hydra takes for something else.

``+recip=rewardmap`` is valid for Hydra: it adds a key that nobody reads, and verl trains with its
own defaults. No recipe is composed then that could complain, so the words themselves are looked at.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = ["added_keys", "mistakes"]

RECIPE = "recipe"
NAME = "rewardmap"
OPTIONS = {"recipe/rewardmap": NAME, "recipe/rewardmap_sft": "rewardmap_sft"}
"""Groups of options, and the recipe that each is laid over."""


@dataclass(frozen=True, slots=True)
class Override:
    """One word of the command line, such as ``+recipe=rewardmap``."""

    sign: str
    """``+``, ``++``, ``~`` or nothing."""
    key: str
    """Without a package (``@…``)."""
    value: str
    text: str
    """The word as it was typed."""


def parse(word: str) -> Override | None:
    """Take a word apart; ``None`` for one that is no override, such as ``--cfg``."""
    match = re.fullmatch(r"(\+\+?|~)?([\w./@:-]+?)(?:=(.*))?", word, flags=re.DOTALL)
    if match is None or word.startswith("-") or not (match[1] or match[3] is not None):
        return None
    return Override(match[1] or "", match[2].split("@")[0], match[3] or "", word)


def parse_all(words: Iterable[str]) -> list[Override]:
    """The overrides among the words of a command line."""
    return [override for word in words if (override := parse(word)) is not None]


def added_keys(words: Iterable[str]) -> frozenset[str]:
    """Keys that the user added on purpose, with ``+`` or ``++``."""
    return frozenset(one.key for one in parse_all(words) if one.sign.startswith("+"))


def mistakes(words: Sequence[str]) -> Iterator[Diagnostic]:
    """Words meant for a recipe that would be taken for plain keys, and options without effect."""
    overrides = parse_all(words)
    yield from filter(None, map(_misspelt, overrides))
    yield from _lost_options(overrides)


def _misspelt(override: Override) -> Diagnostic | None:
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
        "Hydra would take this for a plain key, and verl would train with its own defaults. "
        f"Did you mean +{wanted}={override.value}?",
    )


def closest_group(key: str) -> str:
    """The group of options that a misspelt key is most like."""
    return max(OPTIONS, key=lambda group: difflib.SequenceMatcher(None, key, group).ratio())


def _close(part: str) -> bool:
    return difflib.SequenceMatcher(None, part.strip("+").lower(), NAME).ratio() >= 0.8


def _lost_options(overrides: Sequence[Override]) -> Iterator[Diagnostic]:
    """Options are laid over what stands before them on the command line."""
    keys = [one.key for one in overrides if one.sign != "~"]
    for group, recipe in OPTIONS.items():
        if group not in keys:
            continue
        if RECIPE not in keys:
            yield Diagnostic(
                f"+{group}", f"Options change a recipe; add +{RECIPE}={recipe} before."
            )
        elif keys.index(group) < keys.index(RECIPE):
            yield Diagnostic(
                f"+{group}", f"The recipe would undo the options; put +{RECIPE}=… before them."
            )
