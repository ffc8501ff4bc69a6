"""TorF2: is a stop on a given line? Balanced between yes and no."""

from __future__ import annotations

from rewardmap_verl.questions.context import (
    Context,
    balanced,
    line_names,
    question,
    random_source,
)
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import torf2_text
from rewardmap_verl.transit.network import Line, Stop

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions, each stop at most once per answer."""
    rng = random_source(context, seed, QuestionType.TORF2)
    stops = list(context.askable)
    rng.shuffle(stops)
    yes, no = [], []
    for stop in stops:
        there = [line for line in context.network.lines if line.name in stop.lines]
        elsewhere = [line for line in context.network.lines if line.name not in stop.lines]
        yes.append(_ask(context, stop, rng.choice(there), 1))
        if elsewhere:
            no.append(_ask(context, stop, rng.choice(elsewhere), 0))
    # Rotate the no list by half so that yes and no questions name different stops.
    middle = len(no) // 2
    return balanced(rng, yes, no[middle:] + no[:middle], count)


def _ask(context: Context, stop: Stop, line: Line, answer: int) -> Question:
    return question(
        context,
        QuestionType.TORF2,
        torf2_text(stop.name, line.name, context.brief),
        answer,
        station_1=stop.name,
        line=line.name,
        annotation={"lines_1": line_names(stop)},
    )
