"""Counting3: how many lines does the map show? One question per map."""

from __future__ import annotations

from rewardmap_verl.questions.context import Context, question
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import counting3_text

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate the map's only question, or none if ``count`` is 0. ``seed`` has no effect."""
    if count < 1:
        return []
    lines = [line.name for line in context.network.lines]
    text = counting3_text(context.brief)
    return [
        question(context, QuestionType.COUNTING3, text, len(lines), annotation={"lines": lines})
    ]
