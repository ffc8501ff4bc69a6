"""Questions of a prepared data folder with their perfect answers.

They feed the tiny model: its tokenizer reads them, and its cold start learns to answer in their
format. Nothing here is used when an ordinary pretrained model is trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardmap_verl.errors import DataError
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import gold_answer

__all__ = ["Conversation", "read_conversations"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """One question and its perfect answer."""

    type: QuestionType
    prompt: str
    """The user's turn, with ``<image>`` where the picture stands."""
    answer: str
    """The assistant's turn."""
    image: Path
    """The picture, absolute."""
    max_pixels: int
    """Pixel budget of the picture."""


def read_conversations(folder: Path, split: str = "train") -> Iterator[Conversation]:
    """The conversations of one split, in the order of its rows.

    Args:
        folder: a prepared data folder.
        split: ``train`` or ``test``.

    Raises:
        DataError: the split is missing, or a row has no readable ground truth.
    """
    import pyarrow.parquet as pq

    path = folder / f"{split}.parquet"
    if not path.is_file():
        raise DataError(path, mend="Prepare the folder first: `make prep-data`.")
    table = pq.read_table(path, columns=["prompt", "images", "reward_model"])
    for number, row in enumerate(table.to_pylist()):
        yield _conversation(row, path.parent.resolve(), f"{path}, row {number}")


def _conversation(row: dict[str, Any], folder: Path, where: str) -> Conversation:
    prompt = row["prompt"][-1]["content"]
    try:
        truth = json.loads(row["reward_model"]["ground_truth"])
        question = _question(truth, prompt)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            where,
            field="reward_model.ground_truth",
            found=error,
            mend="Prepare the folder again with this version.",
        ) from error
    image = row["images"][0]
    return Conversation(
        type=question.type,
        prompt=prompt,
        answer=gold_answer(question),
        image=folder / image["image"],
        max_pixels=int(image["max_pixels"]),
    )


def _question(truth: dict[str, Any], prompt: str) -> Question:
    """The question that a ground truth was made from."""
    return Question(
        type=QuestionType(truth["type"]),
        country=truth["country"],
        city=truth["city"],
        station_1=truth["station_1"],
        station_2=truth["station_2"],
        line=truth["line"],
        text=prompt,
        answer=truth["answer"],
        question_transfer_count=truth["question_transfer_count"],
        difficulty_city=truth["difficulty_city"],
        form=truth["form"],
        annotation=truth["annotation"],
        plans=tuple(tuple(plan) for plan in truth["plans"]),
    )
