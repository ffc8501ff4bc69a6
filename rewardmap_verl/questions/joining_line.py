"""JoiningLine: which line serves both of two stops? Not one of the papers' types."""

from __future__ import annotations

from rewardmap_verl.questions.context import (
    Context,
    line_names,
    pairs_along_lines,
    question,
    random_source,
)
from rewardmap_verl.questions.options import draw_options, first_position
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import OPTION_LETTERS, joining_line_text
from rewardmap_verl.transit.network import Stop

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions about pairs served by exactly one line.

    A network with fewer than four lines cannot provide four options and yields no question. Stops
    that the source marks as an interchange but lists on a single line are skipped: the map may
    show another line that joins them.
    """
    if len(context.network.lines) < len(OPTION_LETTERS):
        return []
    rng = random_source(context, seed, QuestionType.JOINING_LINE)
    asked: dict[frozenset[int], Question] = {}
    start = first_position(context, seed, QuestionType.JOINING_LINE)
    for first, second in pairs_along_lines(context, rng):
        if len(asked) >= count:
            break
        key = frozenset((first.index, second.index))
        known = context.has_known_lines(first) and context.has_known_lines(second)
        if key in asked or not known or len(context.shared_lines(first, second)) != 1:
            continue
        correct = context.shared_lines(first, second)[0].name
        # Lines that serve one of the two stops are the most plausible distractors.
        likely = [*first.lines, *second.lines]
        others = [line.name for line in context.network.lines]
        at = (start + len(asked)) % len(OPTION_LETTERS)
        options = draw_options(rng, correct, (likely, others), at)
        if options is not None:
            asked[key] = _ask(context, first, second, options, at)
    questions = list(asked.values())
    rng.shuffle(questions)
    return questions


def _ask(context: Context, first: Stop, second: Stop, options: list[str], at: int) -> Question:
    return question(
        context,
        QuestionType.JOINING_LINE,
        joining_line_text(first.name, second.name, options, context.brief),
        at,
        station_1=first.name,
        station_2=second.name,
        annotation={
            "lines_1": line_names(first),
            "lines_2": line_names(second),
            "options": options,
        },
    )
