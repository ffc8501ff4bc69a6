"""Multiple-choice options: four, one of them correct."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from rewardmap_verl.questions.context import Context
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import OPTION_LETTERS

__all__ = ["draw_options", "first_position"]

_WRONG: Final = len(OPTION_LETTERS) - 1


def first_position(context: Context, seed: int, kind: QuestionType) -> int:
    """Return the position of the correct option of a map's first question of a type.

    The following questions take the other positions in turn. Without a random start, maps with few
    questions each would always have the first letters.
    """
    network = context.network
    rng = random.Random(f"{seed}/options/{network.country}/{network.city}/{kind.value}")
    return rng.randrange(len(OPTION_LETTERS))


def draw_options(
    rng: random.Random, correct: str, wrong: Iterable[Sequence[str]], at: int
) -> list[str] | None:
    """Return four different names, the correct one at position ``at``.

    Args:
        rng: The RNG.
        correct: The correct name.
        wrong: Groups of distractors, the most plausible group first. Order inside a group is
            drawn at random.
        at: Position of the correct name, 0 to 3.

    Returns:
        The options, or None if there are too few distractors.
    """
    names = dict.fromkeys(name for group in wrong for name in rng.sample(group, len(group)))
    names.pop(correct, None)
    chosen = list(islice(names, _WRONG))
    if len(chosen) < _WRONG:
        return None
    rng.shuffle(chosen)
    chosen.insert(at, correct)
    return chosen
