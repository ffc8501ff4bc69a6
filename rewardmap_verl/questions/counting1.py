"""Counting1: how many stops are between two stops of one line? Four options, one correct."""

from __future__ import annotations

import random

from rewardmap_verl.questions.context import Context, pairs_along_lines, question, random_source
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import OPTION_LETTERS, counting1_text
from rewardmap_verl.transit.network import Stop
from rewardmap_verl.transit.planner import stops_between

__all__ = ["generate", "make_options"]

_WRONG = len(OPTION_LETTERS) - 1
_REACH = 5
"""How far from the right number an option may be, in stops."""


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions about pairs with at least one stop between them.

    A pair qualifies only if every line serving both makes the same intermediate stops. This
    excludes loops, two arms of a branch, and local/express pairs.
    """
    rng = random_source(context, seed, QuestionType.COUNTING1)
    asked: dict[frozenset[int], Question] = {}
    pairs = pairs_along_lines(context, rng)
    while len(asked) < count and (pair := next(pairs, None)):
        key = frozenset(stop.index for stop in pair)
        between = None if key in asked else _between(context, *pair)
        if between:
            # The correct letter rotates so that all four letters are equally frequent.
            asked[key] = _ask(context, *pair, between, len(asked) % len(OPTION_LETTERS), rng)
    made = list(asked.values())
    rng.shuffle(made)
    return made


def _between(context: Context, first: Stop, second: Stop) -> tuple[int, ...] | None:
    lines = context.shared_lines(first, second)
    ways = {stops_between(line, first.index, second.index) for line in lines}
    return ways.pop() if len(ways) == 1 else None


def make_options(right: int, at: int, rng: random.Random) -> list[int]:
    """Return four different counts of 0 or more, the right one at position ``at``, all near it.

    How many of the others are smaller is drawn evenly, as far as smaller counts exist: so neither
    the middle nor the largest of the four is a good guess.
    """
    smaller = list(range(max(0, right - _REACH), right))
    larger = list(range(right + 1, right + 1 + _REACH))
    below = min(rng.randint(0, _WRONG), len(smaller))
    options = rng.sample(smaller, below) + rng.sample(larger, _WRONG - below)
    rng.shuffle(options)
    options.insert(at, right)
    return options


def _ask(
    context: Context,
    first: Stop,
    second: Stop,
    between: tuple[int, ...],
    at: int,
    rng: random.Random,
) -> Question:
    options = make_options(len(between), at, rng)
    return question(
        context,
        QuestionType.COUNTING1,
        counting1_text(first.name, second.name, options, context.brief),
        at,
        station_1=first.name,
        station_2=second.name,
        annotation={
            "line": context.shared_lines(first, second)[0].name,
            "intermediate": [context.network.stops[i].name for i in between],
            "options": options,
        },
    )
