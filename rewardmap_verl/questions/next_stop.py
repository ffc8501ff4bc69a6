"""NextStop: which stop comes next on a line in a direction? Not one of the papers' types."""

from __future__ import annotations

import random
from collections.abc import Iterator

from rewardmap_verl.questions.context import Context, question, random_source
from rewardmap_verl.questions.options import draw_options, first_position
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import OPTION_LETTERS, next_stop_text
from rewardmap_verl.transit.network import Line, Stop
from rewardmap_verl.transit.planner import stops_between

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions: a line, one of its stops, and a terminus ahead.

    Rides with two possible paths are skipped (loops and branches, see
    ``stops_between``), and so are rides whose first, next or
    last stop is a homonym.
    """
    rng = random_source(context, seed, QuestionType.NEXT_STOP)
    asked: dict[tuple[str, frozenset[int]], Question] = {}
    first = first_position(context, seed, QuestionType.NEXT_STOP)
    for line, here, end in _rides(context, rng):
        if len(asked) >= count:
            break
        key = line.name, frozenset((here.index, end.index))
        ahead = () if key in asked else stops_between(line, here.index, end.index) or ()
        stops = [context.network.stops[i] for i in ahead]
        if stops and not context.network.is_homonym(stops[0]):
            made = _ask(
                context, rng, line, here, end, stops, (first + len(asked)) % len(OPTION_LETTERS)
            )
            asked |= {key: made} if made else {}
    questions = list(asked.values())
    rng.shuffle(questions)
    return questions


def _rides(context: Context, rng: random.Random) -> Iterator[tuple[Line, Stop, Stop]]:
    """Yield (line, stop, terminus), drawing the line uniformly each time."""
    rides = []
    for line in context.network.lines:
        askable = context.askable_on(line)
        ends = {i for path in line.paths for i in (path[0], path[-1])}
        both = [(here, end) for here in askable for end in askable if end.index in ends]
        rides.append((line, rng.sample(both, len(both))))
    while rides:
        line, left = rides.pop(rng.randrange(len(rides)))
        if left:
            yield line, *left.pop()
            rides.append((line, left))


def _ask(
    context: Context,
    rng: random.Random,
    line: Line,
    here: Stop,
    end: Stop,
    ahead: list[Stop],
    at: int,
) -> Question | None:
    """Build the question with nearby stops of the line as distractors; None if it has too few."""
    stops = [stop for stop in context.askable_on(line) if stop not in (here, end)]
    place = stops.index(ahead[0])
    near = stops[max(0, place - 3) : place + 4]
    options = draw_options(
        rng, ahead[0].name, ([stop.name for stop in near], [stop.name for stop in stops]), at
    )
    if options is None:
        return None
    return question(
        context,
        QuestionType.NEXT_STOP,
        next_stop_text(line.name, here.name, end.name, options, context.brief),
        at,
        station_1=here.name,
        station_2=end.name,
        line=line.name,
        annotation={"ahead": [stop.name for stop in ahead], "options": options},
    )
