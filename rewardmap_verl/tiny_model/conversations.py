"""Questions of a prepared folder with their gold answers, as training data of the tiny model.

Its tokenizer is trained on them, and its supervised start learns their answer formats. Runs with an
ordinary pretrained model do not use this module.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parquet import parquet_rows
from rewardmap_verl.preparation.records import read_prepared_questions
from rewardmap_verl.questions.types import QuestionType

__all__ = [
    "Conversation",
    "of_types",
    "read_conversations",
    "read_texts",
    "read_trace_texts",
    "sample_evenly",
    "unboxed",
]


_TRACES = "Write it with `rewardmap export DATA verl --reasoning zoom`."


@dataclass(frozen=True, slots=True)
class Conversation:
    """One question and its gold answer."""

    type: QuestionType
    prompt: str
    """User turn, with ``<image>`` in place of the image."""
    answer: str
    """Assistant turn."""
    image: Path
    """Absolute path of the image."""
    max_pixels: int
    """Pixel budget of the image."""


def read_conversations(folder: Path, split: str = "train") -> Iterator[Conversation]:
    """Read the conversations of a split in the order of its rows.

    Args:
        folder: A prepared folder.
        split: ``train`` or ``test``.

    Raises:
        DataError: The split is missing, or a row cannot be read (see
            ``read_prepared_questions``).
    """
    for row in read_prepared_questions(folder, split):
        yield Conversation(row.truth.type, row.prompt, row.answer, row.image_path, row.max_pixels)


def read_texts(folder: Path) -> list[str]:
    """Return all texts for the tokenizer: all questions, and the answers of the training split.

    Answers of the test split are excluded.

    Raises:
        DataError: As ``read_conversations``.
    """
    train = list(read_conversations(folder, "train"))
    test = read_conversations(folder, "test")
    questions = (conversation.prompt for conversation in chain(train, test))
    return [*questions, *(conversation.answer for conversation in train)]


def read_trace_texts(path: Path) -> list[str]:
    """Return all turns of the conversations that ``rewardmap export … verl`` wrote.

    Raises:
        DataError: The file is missing or has another format.
    """
    rows = parquet_rows(path)
    try:
        return [message["content"] for row in rows for message in row["messages"]]
    except (KeyError, TypeError) as error:
        raise DataError(path, found=str(error), hint=_TRACES) from error


def of_types(
    conversations: Iterable[Conversation], types: Sequence[str], folder: Path
) -> list[Conversation]:
    """Filter conversations by question type; without types return all of them.

    Raises:
        DataError: A type has no row in ``folder``.
    """
    found = list(conversations)
    present = sorted({one.type.value for one in found})
    for name in types:
        if name not in present:
            hint = f"Its training rows have the types {', '.join(present)}."
            raise DataError(folder, found=name, hint=hint)
    return [one for one in found if not types or one.type.value in types]


def unboxed(conversation: Conversation) -> Conversation:
    r"""Return a conversation whose answer is without ``\boxed{}``; a route stays as it is."""
    match = re.fullmatch(r"\\boxed\{(.*)\}", conversation.answer.strip(), flags=re.DOTALL)
    return replace(conversation, answer=match[1]) if match else conversation


def sample_evenly(
    conversations: Iterable[Conversation], limit: int, seed: int
) -> list[Conversation]:
    """Sample at most ``limit`` conversations, evenly over the types; a function of the seed."""
    by_type: defaultdict[QuestionType, list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        by_type[conversation.type].append(conversation)
    for kind, found in by_type.items():
        random.Random(f"{seed}/cold start/{kind}").shuffle(found)
    rounds = zip_longest(*by_type.values())
    return [one for one in chain.from_iterable(rounds) if one is not None][:limit]
