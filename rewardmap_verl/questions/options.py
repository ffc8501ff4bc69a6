"""Four options, one of them right."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from rewardmap_verl.questions.wording import OPTION_LETTERS

__all__ = ["draw_options"]

_WRONG: Final = len(OPTION_LETTERS) - 1


def draw_options(
    rng: random.Random, right: str, wrong: Iterable[Sequence[str]], at: int
) -> list[str] | None:
    """Return four different names, the right one at position ``at``.

    Args:
        rng: Source of chance.
        right: The right one.
        wrong: Groups of wrong ones, the more plausible groups first; the order inside a group is
            chance.
        at: Position of the right one.

    Returns:
        The options; None when there are not enough wrong ones.
    """
    names = dict.fromkeys(name for group in wrong for name in rng.sample(group, len(group)))
    names.pop(right, None)
    chosen = list(islice(names, _WRONG))
    if len(chosen) < _WRONG:
        return None
    rng.shuffle(chosen)
    chosen.insert(at, right)
    return chosen
