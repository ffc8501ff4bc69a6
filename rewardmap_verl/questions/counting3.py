"""Counting3: how many lines does the map show? One question a map."""

from __future__ import annotations

from rewardmap_verl.questions.context import Context, question
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import counting3_text

__all__ = ["generate"]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Make the question if any is wanted; neither seed nor a larger ``count`` makes another."""
    if count < 1:
        return []
    lines = [line.name for line in context.network.lines]
    text = counting3_text(context.brief)
    return [
        question(context, QuestionType.COUNTING3, text, len(lines), annotation={"lines": lines})
    ]
