"""What the embedded model is pretrained on: reading a map, and the questions of training.

A task is a question about one map with its exact answer. Reading tasks ask for everything that the
map shows; they name no route.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import gold_answer
from rewardmap_verl.transit.network import Line, Network

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


def map_tasks(network: Network, seed: int) -> list[Task]:
    """Return all tasks about a pocket network; a function of its arguments."""
    return [*_reading(network), *_questions(network, seed)]


def _reading(network: Network) -> Iterator[Task]:
    """Yield the tasks that ask for lines and stops, each line from its first to its last stop."""
    stops: Mapping[Line, str] = {
        line: ", ".join(network.stops[stop].name for stop in line.listed)
        for line in sorted(network.lines, key=lambda line: line.name)
    }
    whole = "\n".join(f"{line.name}: {names}" for line, names in stops.items())
    yield Task("map", "What does the map show?", whole)
    for line, names in stops.items():
        yield Task("line", f"Stops of {line.name}?", names)
    for stop in network.stops:
        yield Task("stop", f"Lines at {stop.name}?", ", ".join(sorted(stop.lines)))


def _questions(network: Network, seed: int) -> Iterator[Task]:
    for question in generate_questions(network, "easy", seed, QUESTIONS, brief=True):
        kind = question.type.value
        if question.type is QuestionType.PLANNING:
            kind = TRIPS[min(question.question_transfer_count, len(TRIPS) - 1)]
        yield Task(kind, question.text, gold_answer(question))
