"""Shared by all question generators: network, planner, eligible stops and the RNG."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.transit.difficulty import MapDifficulty
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.planner import Planner

__all__ = [
    "Context",
    "balanced",
    "line_names",
    "pairs_along_lines",
    "question",
    "random_source",
    "shuffled_pairs",
]


@dataclass(frozen=True, slots=True)
class Context:
    """One network and everything a question generator needs to ask about it."""

    network: Network
    planner: Planner
    difficulty: MapDifficulty
    brief: bool = False
    """True for the brief wording."""

    @property
    def askable(self) -> tuple[Stop, ...]:
        """Stops whose printed name is unique. Questions never name a homonym."""
        return tuple(s for s in self.network.stops if not self.network.is_homonym(s))

    def askable_on(self, line: Line) -> tuple[Stop, ...]:
        """Return the askable stops of one line, in listed order."""
        stops = (self.network.stops[i] for i in line.stops)
        return tuple(stop for stop in stops if not self.network.is_homonym(stop))

    def has_known_lines(self, stop: Stop) -> bool:
        """Return whether the source lists every line that the printed map shows at a stop.

        A stop that the source marks as an interchange but lists on a single line may have more.
        """
        return len(stop.lines) > 1 or not stop.marked

    def shared_lines(self, first: Stop, second: Stop) -> tuple[Line, ...]:
        """Return the lines that call at both stops."""
        return tuple(self.network.line(name) for name in first.lines if name in second.lines)


def random_source(context: Context, seed: int, kind: QuestionType) -> random.Random:
    """Return the RNG of one type, a function of seed, city and type only."""
    network = context.network
    return random.Random(f"{seed}/questions/{network.country}/{network.city}/{kind.value}")


def _shuffled_range(rng: random.Random, size: int) -> Iterator[int]:
    """Yield 0 to size - 1 in random order, lazily: the cost grows with the values consumed."""
    moved: dict[int, int] = {}
    for i in range(size):
        j = rng.randrange(i, size)
        yield moved.get(j, j)
        moved[j] = moved.get(i, i)


def shuffled_pairs(rng: random.Random, stops: Sequence[Stop]) -> Iterator[tuple[Stop, Stop]]:
    """Yield every unordered pair of stops once, in random order and random direction."""
    others = len(stops) - 1
    seen: set[frozenset[int]] = set()
    for number in _shuffled_range(rng, len(stops) * others):
        first, rest = divmod(number, others)
        second = rest + (rest >= first)
        if frozenset((first, second)) not in seen:
            seen.add(frozenset((first, second)))
            yield stops[first], stops[second]


def pairs_along_lines(context: Context, rng: random.Random) -> Iterator[tuple[Stop, Stop]]:
    """Yield pairs of askable stops on one line; a pair served by two lines appears twice.

    Each draw picks a line uniformly, so short lines are asked about as often as long ones.
    """
    lines = [shuffled_pairs(rng, context.askable_on(line)) for line in context.network.lines]
    while lines:
        line = lines.pop(rng.randrange(len(lines)))
        pair = next(line, None)
        if pair is not None:
            yield pair
            lines.append(line)


def balanced(
    rng: random.Random, yes: Sequence[Question], no: Sequence[Question], count: int
) -> list[Question]:
    """Mix equal numbers of yes and no questions, up to ``count`` in total.

    With an odd count, the RNG decides which answer gets one more. If one answer is impossible
    (a network with one line has no "no"), the result is empty.
    """
    halves = [count // 2, count - count // 2]
    rng.shuffle(halves)
    least = min(len(yes), len(no))
    mixed = [*yes[: min(halves[0], least + 1)], *no[: min(halves[1], least + 1)]] if least else []
    rng.shuffle(mixed)
    return mixed


def line_names(stop: Stop) -> list[str]:
    """Return the names of a stop's lines, for the annotation."""
    return list(stop.lines)


def question(context: Context, kind: QuestionType, text: str, answer: int, **rest: Any) -> Question:
    """Build a question about the context's network; fields not given in ``rest`` stay empty."""
    given: dict[str, Any] = {
        "station_1": "",
        "station_2": "",
        "line": "",
        "question_transfer_count": 0,
        "form": "",
        "annotation": {},
        "plans": (),
    }
    return Question(
        type=kind,
        country=context.network.country,
        city=context.network.city,
        text=text,
        answer=answer,
        difficulty_city=context.difficulty,
        **(given | rest),
    )
