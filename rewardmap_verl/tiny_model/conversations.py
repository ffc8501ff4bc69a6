"""Questions of a prepared data folder with their perfect answers.

They feed the tiny model: its tokenizer reads them, and its cold start learns to answer in their
format. Nothing here is used when an ordinary pretrained model is trained.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.records import read_prepared_questions
from rewardmap_verl.questions.types import QuestionType

__all__ = ["Conversation", "of_types", "read_conversations", "read_texts", "sample_evenly"]


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
        DataError: The split is missing, or a row cannot be read (see
            :func:`~rewardmap_verl.preparation.records.read_prepared_questions`).
    """
    for row in read_prepared_questions(folder, split):
        yield Conversation(row.truth.type, row.prompt, row.answer, row.image_path, row.max_pixels)


def read_texts(folder: Path) -> list[str]:
    """Everything that a model meets in a prepared folder: all questions, and the answers to learn.

    The answers of the test split stay out; its questions are what any user would ask.

    Raises:
        DataError: as :func:`read_conversations`.
    """
    train = list(read_conversations(folder, "train"))
    test = read_conversations(folder, "test")
    questions = (conversation.prompt for conversation in chain(train, test))
    return [*questions, *(conversation.answer for conversation in train)]


def of_types(
    conversations: Iterable[Conversation], types: Sequence[str], folder: Path
) -> list[Conversation]:
    """The conversations of some question types; of all when none is named.

    Raises:
        DataError: one of the types has no row in ``folder``.
    """
    found = list(conversations)
    there = sorted({one.type.value for one in found})
    for name in types:
        if name not in there:
            raise DataError(folder, found=name, hint=f"Its training rows are {', '.join(there)}.")
    return [one for one in found if not types or one.type.value in types]


def sample_evenly(
    conversations: Iterable[Conversation], most: int, seed: int
) -> list[Conversation]:
    """At most ``most`` conversations, as many of each type as there are; a function of the seed."""
    by_type: defaultdict[QuestionType, list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        by_type[conversation.type].append(conversation)
    for kind, found in by_type.items():
        random.Random(f"{seed}/cold start/{kind}").shuffle(found)
    rounds = zip_longest(*by_type.values())
    return [one for one in chain.from_iterable(rounds) if one is not None][:most]
