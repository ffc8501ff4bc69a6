"""What the embedded model is pretrained on: reading a map, and the questions of training.

A task is a question about one map with its exact answer. Reading tasks ask for everything that the
map shows; they name no route. The form of a route is learned on a blank map, where nothing but the
form can be learned.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Final

from rewardmap_verl.questions.sampling import Quotas, generate_questions
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.questions.wording import gold_answer, planning_text, route_text
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.placement import GridPoint, PlacedNetwork
from rewardmap_verl.transit.synthesis.palette import PALETTE
from rewardmap_verl.transit.synthesis.pocket_networks import STOP_NAMES, PocketSettings

__all__ = [
    "KINDS",
    "RIDE",
    "ROUTE_FORM",
    "Task",
    "interchange_tasks",
    "map_tasks",
    "pair_tasks",
    "place_words",
    "ride_task",
    "route_form_task",
]

QUESTIONS: Final = Quotas(3, 3, 4, 3, 1, 8, forms=("short",))
"""Questions about each map."""

TRIPS: Final = ("direct trip", "one transfer", "two transfers")
"""Kinds of planning questions, by number of transfers."""

_PAIRS: Final = 4
"""Pairs of stops with a common line, and pairs without one, for each map."""

_NO_STOP: Final = "Stops: no"

_ROWS: Final = ("first", "second", "third", "fourth", "fifth", "sixth")
_COLUMNS: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight")
"""Words for a place on the map: every row and column has a token of its own."""

KINDS: Final = (
    *("map", "line", "stop", "pair", "place", "meeting", "interchange"),
    *("TorF1", "TorF2", "Counting1", "Counting2", "Counting3"),
    *TRIPS,
)
"""All kinds of tasks about a map: seven of reading, then questions by type."""

ROUTE_FORM: Final = "form"
"""Kind of the tasks about a blank map: routes of random stops and lines."""

RIDE: Final = "ride"
"""Kind of the tasks about rides without a destination."""

_LEGS: Final = {1: 5, 2: 4, 3: 1}
"""Relative number of routes and rides of each number of legs."""


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


def pair_tasks(network: Network, seed: int) -> list[Task]:
    """Ask which lines two stops share: for four pairs that do and four that do not.

    True/false questions need the same comparison, but their answers teach it slowly.
    """
    pairs = list(combinations(network.stops, 2))
    random.Random(f"{seed}/pairs/{network.city}").shuffle(pairs)
    asked: dict[bool, list[Task]] = {True: [], False: []}
    for first, second in pairs:
        shared = [line for line in sorted(first.lines) if line in second.lines]
        question = f"Lines at {first.name} and {second.name}?"
        asked[bool(shared)].append(Task("pair", question, f"Lines: {', '.join(shared) or 'no'}"))
    return [task for tasks in asked.values() for task in tasks[:_PAIRS]]


def interchange_tasks(placed: PlacedNetwork) -> list[Task]:
    """Return the tasks of the kind ``meeting`` about two lines that do meet.

    Most pairs of lines do not, so the answer to the others is known after hundreds of steps, while
    the name of the interchange is still a guess.
    """
    return [
        replace(task, kind="interchange")
        for task in _meetings(placed.network)
        if task.answer != _NO_STOP
    ]


def route_form_task(rng: random.Random) -> Task:
    """Ask for a route on a blank map; the answer has random stops and lines.

    It begins and ends at the stops of the question, and each leg departs where the previous one
    arrived. So it teaches the form of a route, and nothing about planning.
    """
    legs = _legs(rng)
    stops = rng.sample(STOP_NAMES, legs + 1)
    lines = rng.sample(
        sorted(f"{color} Line" for color, _ in PALETTE[: PocketSettings().colors]), legs
    )
    question = planning_text(stops[0], stops[-1], "short", brief=True)
    return Task(ROUTE_FORM, question, _route(lines, stops))


def ride_task(network: Network, rng: random.Random) -> Task:
    """Ask for a ride from a stop to wherever it leads; the answer is a random one.

    Each leg takes a line of the stop where it departs, and changes are at interchanges. So it
    teaches to read the map within a route. There is no destination, so nothing is planned. The ride
    ends early where no other line is reached.
    """
    legs = _legs(rng)
    stop = rng.randrange(len(network.stops))
    lines: list[str] = []
    stops = [stop]
    for legs_left in reversed(range(legs)):
        serving = [line for line in network.lines if stop in line.listed and line.name not in lines]
        line = rng.choice(serving)
        reached = [other for other in line.listed if other != stop]
        changes = [other for other in reached if legs_left and len(network.stops[other].lines) > 1]
        stop = rng.choice(changes or reached)
        lines.append(line.name)
        stops.append(stop)
        if not changes:
            break
    names = _names(network, stops)
    question = planning_text(names[0], "", "short", brief=True).replace(" to ?", "?")
    return Task(RIDE, question, _route(lines, names))


def _legs(rng: random.Random) -> int:
    return rng.choices(tuple(_LEGS), tuple(_LEGS.values()))[0]


def _route(lines: Sequence[str], stops: Sequence[str]) -> str:
    """Return the text of a route: the lines ridden between successive stops."""
    route = [
        {"route_name": line, "departure_stop": departure, "arrival_stop": arrival}
        for line, departure, arrival in zip(lines, stops[:-1], stops[1:], strict=True)
    ]
    return route_text(route, "short")


def place_words(cell: GridPoint) -> tuple[str, str]:
    """Return the words for the row and the column of a cell (column, row)."""
    return _ROWS[cell[1]], _COLUMNS[cell[0]]


def _reading(placed: PlacedNetwork) -> Iterator[Task]:
    """Yield the tasks that ask for lines, stops and places.

    Every name follows a space, as in the text that the vision tower encodes: the tokenizer has
    other tokens for names at the beginning of a text.
    """
    network = placed.network
    lines = sorted(network.lines, key=lambda line: line.name)
    stops = {line.name: ", ".join(_names(network, line.listed)) for line in lines}
    whole = "\n".join(f"{line}: {names}" for line, names in stops.items())
    yield Task("map", "What does the map show?", whole)
    for line, names in stops.items():
        yield Task("line", f"Stops of {line}?", f"Stops: {names}")
    for stop, cell in zip(network.stops, placed.positions, strict=True):
        yield Task("stop", f"Lines at {stop.name}?", f"Lines: {', '.join(sorted(stop.lines))}")
        row, column = place_words(cell)
        yield Task("place", f"Where is {stop.name}?", f"Row: {row}, column: {column}")
    yield from _meetings(network)


def _meetings(network: Network) -> Iterator[Task]:
    """Yield the tasks that ask for the common stops of two lines."""
    for first, second in permutations(sorted(network.lines, key=lambda line: line.name), 2):
        shared = [stop for stop in first.listed if stop in second.listed]
        names = ", ".join(_names(network, shared))
        question = f"Stops of {first.name} and {second.name}?"
        yield Task("meeting", question, f"Stops: {names}" if names else _NO_STOP)


def _names(network: Network, stops: Iterable[int]) -> list[str]:
    return [network.stops[stop].name for stop in stops]


def _questions(network: Network, seed: int) -> Iterator[Task]:
    for question in generate_questions(network, "easy", seed, QUESTIONS, brief=True):
        kind = question.type.value
        if question.type is QuestionType.PLANNING:
            kind = TRIPS[min(question.question_transfer_count, len(TRIPS) - 1)]
        yield Task(kind, question.text, gold_answer(question))
