"""Counting2: how many lines pass through a stop?"""

from __future__ import annotations

from rewardmap_verl.questions.context import Context, line_names, question, random_source
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import counting2_text
from rewardmap_verl.transit.network import Stop

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions, one per stop, balancing the answers where possible.

    A stop that the source marks as an interchange but lists on a single line is skipped: the
    printed map may show more lines there.
    """
    rng = random_source(context, seed, QuestionType.COUNTING2)
    by_number: dict[int, list[Stop]] = {}
    for stop in context.askable:
        if context.has_known_lines(stop):
            by_number.setdefault(len(stop.lines), []).append(stop)
    for stops in by_number.values():
        rng.shuffle(stops)
    chosen: list[Stop] = []
    while len(chosen) < count and any(by_number.values()):
        for number in sorted(by_number, reverse=True):
            if by_number[number]:
                chosen.append(by_number[number].pop())
    chosen = chosen[:count]
    rng.shuffle(chosen)
    return [_ask(context, stop) for stop in chosen]


def _ask(context: Context, stop: Stop) -> Question:
    return question(
        context,
        QuestionType.COUNTING2,
        counting2_text(stop.name, context.brief),
        len(stop.lines),
        station_1=stop.name,
        annotation={"lines_1": line_names(stop)},
    )
