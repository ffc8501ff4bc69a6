"""JoiningLine: which line serves both of two stops? Beyond the papers."""

from __future__ import annotations

from rewardmap_verl.questions.context import (
    Context,
    line_names,
    pairs_along_lines,
    question,
    random_source,
)
from rewardmap_verl.questions.options import draw_options
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import OPTION_LETTERS, joining_line_text
from rewardmap_verl.transit.network import Stop

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Make up to ``count`` questions about pairs that exactly one line serves.

    A network of fewer than four lines has no four options and is not asked. Nor are stops that the
    source marks as an interchange, though it lists one line there: the map may show another line
    that joins them.
    """
    if len(context.network.lines) < len(OPTION_LETTERS):
        return []
    rng = random_source(context, seed, QuestionType.JOINING_LINE)
    asked: dict[frozenset[int], Question] = {}
    for first, second in pairs_along_lines(context, rng):
        if len(asked) >= count:
            break
        key = frozenset((first.index, second.index))
        settled = context.has_known_lines(first) and context.has_known_lines(second)
        if key in asked or not settled or len(context.shared_lines(first, second)) != 1:
            continue
        right = context.shared_lines(first, second)[0].name
        # The lines of one of the two stops are the likeliest mistakes.
        likely = [*first.lines, *second.lines]
        others = [line.name for line in context.network.lines]
        at = len(asked) % len(OPTION_LETTERS)
        options = draw_options(rng, right, (likely, others), at)
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
