"""Counting1: how many stops are between two stops of one line? Four options, one correct.

The four numbers do not give the answer away: first the options are drawn, then a pair of stops for
each of them. Given the options, each of them is correct with probability 1/4, whatever numbers are
common on the map. Where lines are too short for four numbers, neighboring stops are asked about as
well; where even that is not enough, there is no question.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from rewardmap_verl.questions.context import Context, pairs_along_lines, question, random_source
from rewardmap_verl.questions.options import first_position
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
_LEAST_TRIED: Final = 100
"""Pairs drawn for few questions, enough to find four numbers."""


class _Pair(NamedTuple):
    first: Stop
    second: Stop
    between: tuple[int, ...]
    """Indexes of the stops between them."""


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions; a map whose lines have less than five stops yields none.

    A pair qualifies only if every line serving both makes the same intermediate stops. This
    excludes loops, two arms of a branch, and local/express pairs.
    """
    rng = random_source(context, seed, QuestionType.COUNTING1)
    pairs = _pairs_by_number(context, rng, max(_PAIRS_TRIED * count, _LEAST_TRIED))
    neighbors = pairs.pop(0, [])
    if not option_sets(pairs):
        pairs[0] = neighbors
    start = first_position(context, seed, QuestionType.COUNTING1)
    made: list[Question] = []
    while len(made) < count and (options := _draw_options(rng, pairs)):
        for number in rng.sample(options, len(options)):
            pair = pairs[number].pop()
            made.append(_ask(context, rng, pair, options, (start + len(made)) % _OPTIONS))
    del made[count:]
    rng.shuffle(made)
    return made


def _pairs_by_number(context: Context, rng: random.Random, limit: int) -> dict[int, list[_Pair]]:
    """Draw up to ``limit`` pairs and group those that qualify by the stops between them."""
    found: dict[frozenset[int], _Pair] = {}
    for first, second in islice(pairs_along_lines(context, rng), limit):
        between = _between(context, first, second)
        if between is not None:
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
    """Return the sets of four evenly spaced options out of some numbers."""
    sets = (
        tuple(range(start, start + _OPTIONS * step, step))
        for step in _STEPS
        for start in range(max(numbers, default=-1) + 1)
    )
    return [options for options in sets if all(number in numbers for number in options)]


def _draw_options(
    rng: random.Random, pairs: Mapping[int, Sequence[_Pair]]
) -> tuple[int, ...] | None:
    """Draw four numbers that all have a pair of stops left; None if there are no such four."""
    available = {number: len(found) for number, found in pairs.items() if found}
    sets = option_sets(available)
    # Weights follow the map, so that common numbers are asked about more often.
    weights = [min(available[number] for number in options) for options in sets]
    return rng.choices(sets, weights)[0] if sets else None


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
