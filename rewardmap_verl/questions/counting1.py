"""Counting1: how many stops are between two stops of one line? Four options, one correct.

The four numbers do not give the answer away: first the options are drawn, then which of them is
correct, and only then a pair of stops with that number. Given the options, each of them is correct
with probability 1/4, whatever numbers are common on the map.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from rewardmap_verl.questions.context import Context, pairs_along_lines, question, random_source
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import OPTION_LETTERS, counting1_text
from rewardmap_verl.transit.network import Stop
from rewardmap_verl.transit.planner import stops_between

__all__ = ["generate", "option_sets"]

_OPTIONS: Final = len(OPTION_LETTERS)
_STEPS: Final = (1, 2)
"""Distances between neighboring options."""

_PAIRS_TRIED: Final = 8
"""Pairs drawn per requested question, enough to find every number of stops that is not rare."""


class _Pair(NamedTuple):
    first: Stop
    second: Stop
    between: tuple[int, ...]
    """Indexes of the stops between them."""


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions about pairs with at least one stop between them.

    A pair qualifies only if every line serving both makes the same intermediate stops. This
    excludes loops, two arms of a branch, and local/express pairs.
    """
    rng = random_source(context, seed, QuestionType.COUNTING1)
    pairs = _pairs_by_number(context, rng, _PAIRS_TRIED * count)
    made: list[Question] = []
    ranks = Counter[int]()
    while len(made) < count and any(pairs.values()):
        options, rank = _draw(rng, {n: len(found) for n, found in pairs.items() if found}, ranks)
        ranks[rank] += 1
        pair = pairs[options[rank]].pop()
        # The correct letter rotates so that all four letters are equally frequent.
        made.append(_ask(context, rng, pair, options, len(made) % _OPTIONS))
    rng.shuffle(made)
    return made


def _pairs_by_number(context: Context, rng: random.Random, limit: int) -> dict[int, list[_Pair]]:
    """Draw up to ``limit`` pairs and group those that qualify by the stops between them."""
    found: dict[frozenset[int], _Pair] = {}
    for first, second in islice(pairs_along_lines(context, rng), limit):
        between = _between(context, first, second)
        if between:
            pair = _Pair(first, second, between)
            found.setdefault(frozenset((first.index, second.index)), pair)
    by_number: dict[int, list[_Pair]] = {}
    for pair in found.values():
        by_number.setdefault(len(pair.between), []).append(pair)
    return by_number


def _between(context: Context, first: Stop, second: Stop) -> tuple[int, ...] | None:
    lines = context.shared_lines(first, second)
    ways = {stops_between(line, first.index, second.index) for line in lines}
    return ways.pop() if len(ways) == 1 else None


def option_sets(numbers: Collection[int]) -> list[tuple[int, ...]]:
    """Return the sets of four evenly spaced options that contain the most of some numbers.

    Where the lines are long enough, these are all sets with four of the numbers.
    """
    sets = [
        tuple(range(start, start + _OPTIONS * step, step))
        for step in _STEPS
        for start in range(max(numbers) + 1)
    ]
    possible = [sum(number in numbers for number in options) for options in sets]
    return [options for options, n in zip(sets, possible, strict=True) if n == max(possible)]


def _draw(
    rng: random.Random, available: Mapping[int, int], ranks: Mapping[int, int]
) -> tuple[tuple[int, ...], int]:
    """Draw four options and the rank of the correct one among them.

    Args:
        rng: The RNG.
        available: How many pairs of stops there are for each number.
        ranks: How often each rank was correct before; the rarest is drawn.
    """
    sets = option_sets(available)
    # Weights follow the map, so that common numbers are asked about more often.
    weights = [min(available[n] for n in options if n in available) for options in sets]
    options = rng.choices(sets, weights)[0]
    possible = [rank for rank in range(_OPTIONS) if options[rank] in available]
    return options, min(possible, key=lambda rank: (ranks.get(rank, 0), rng.random()))


def _ask(
    context: Context, rng: random.Random, pair: _Pair, numbers: Sequence[int], at: int
) -> Question:
    """Build the question with the correct option at position ``at``."""
    options = [number for number in numbers if number != len(pair.between)]
    rng.shuffle(options)
    options.insert(at, len(pair.between))
    first, second = pair.first, pair.second
    return question(
        context,
        QuestionType.COUNTING1,
        counting1_text(first.name, second.name, options, context.brief),
        at,
        station_1=first.name,
        station_2=second.name,
        annotation={
            "line": context.shared_lines(first, second)[0].name,
            "intermediate": [context.network.stops[i].name for i in pair.between],
            "options": options,
        },
    )
