"""What the embedded model is pretrained on: reading a map, and the questions of training.

A task is a question about one map with its exact answer. Reading tasks ask for everything that the
map shows; they name no route.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.transit.network import Line, Network
from rewardmap_verl.transit.placement import PlacedNetwork

__all__ = ["KINDS", "Task", "map_tasks"]

QUESTIONS: Final = Quotas(3, 3, 3, 3, 1, 8, forms=("short",))
"""Questions about each map."""

TRIPS: Final = ("direct trip", "one transfer", "two transfers")
"""Kinds of planning questions, by number of transfers."""

KINDS: Final = (
    *("map", "line", "stop"),
    *("TorF1", "TorF2", "Counting1", "Counting2", "Counting3"),
    *TRIPS,
)
"""All kinds of tasks: three of reading, then questions by type."""


@dataclass(frozen=True, slots=True)
class Task:
    """One question about a map."""

    kind: str
    """One of ``KINDS``."""
    question: str
    answer: str


def map_tasks(placed: PlacedNetwork, seed: int) -> list[Task]:
    """Return all tasks about a pocket network; a function of its arguments."""
    return [*_reading(placed), *_questions(placed.network, seed)]


def _reading(placed: PlacedNetwork) -> Iterator[Task]:
    """Yield the tasks that ask for lines and stops.

    Every name follows a space, as in the text that the vision tower encodes: the tokenizer has
    other tokens for names at the beginning of a text.
    """
    lines = sorted(placed.network.lines, key=lambda line: line.name)
    stops = {line.name: ", ".join(_from_the_west(line, placed)) for line in lines}
    whole = "\n".join(f"{line}: {names}" for line, names in stops.items())
    yield Task("map", "What does the map show?", whole)
    for line, names in stops.items():
        yield Task("line", f"Stops of {line}?", f"Stops: {names}")
    for stop in placed.network.stops:
        yield Task("stop", f"Lines at {stop.name}?", f"Lines: {', '.join(sorted(stop.lines))}")


def _from_the_west(line: Line, placed: PlacedNetwork) -> list[str]:
    """Return the stops of a line from its western end, or from the northern one of a column."""
    stops = list(line.listed)
    if placed.positions[stops[0]] > placed.positions[stops[-1]]:
        stops.reverse()
    return [placed.network.stops[stop].name for stop in stops]


def _questions(network: Network, seed: int) -> Iterator[Task]:
    for question in generate_questions(network, "easy", seed, QUESTIONS, brief=True):
        kind = question.type.value
        if question.type is QuestionType.PLANNING:
            kind = TRIPS[min(question.question_transfer_count, len(TRIPS) - 1)]
        yield Task(kind, question.text, gold_answer(question))
