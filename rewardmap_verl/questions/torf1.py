"""TorF1: are two stops on one line? Balanced between yes and no."""

from __future__ import annotations

from itertools import islice

from rewardmap_verl.questions.context import (
    Context,
    balanced,
    line_names,
    pairs_along_lines,
    question,
    random_source,
    shuffled_pairs,
)
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import torf1_text
from rewardmap_verl.transit.network import Stop

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions, each pair of stops at most once."""
    rng = random_source(context, seed, QuestionType.TORF1)
    yes: dict[frozenset[int], tuple[Stop, Stop]] = {}
    pairs = pairs_along_lines(context, rng)
    while len(yes) < count and (pair := next(pairs, None)):
        yes.setdefault(frozenset(stop.index for stop in pair), pair)
    apart = (pair for pair in shuffled_pairs(rng, context.askable) if not _together(*pair))
    return balanced(
        rng,
        [_ask(context, *pair, 1) for pair in yes.values()],
        [_ask(context, *pair, 0) for pair in islice(apart, count)],
        count,
    )


def _together(first: Stop, second: Stop) -> bool:
    return not set(first.lines).isdisjoint(second.lines)


def _ask(context: Context, first: Stop, second: Stop, answer: int) -> Question:
    return question(
        context,
        QuestionType.TORF1,
        torf1_text(first.name, second.name, context.brief),
        answer,
        station_1=first.name,
        station_2=second.name,
        annotation={"lines_1": line_names(first), "lines_2": line_names(second)},
    )
