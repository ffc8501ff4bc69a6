"""Baselines: answers without a model, as a reference for scores.

=========  =================================================================================
random     a uniformly drawn answer; for planning, a route of one leg on a random line
majority   the most frequent answer of each type in the training split; for planning, a
           direct trip on the line with the most stops at stop 1
gold       the gold answer, in the requested form
planner    computed from the network, without map and gold answer: the upper bound for a
           model that reads maps perfectly; the papers' question types only
=========  =================================================================================
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Final

from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.verdicts import Answer
from rewardmap_verl.questions.types import QuestionType, Reading
from rewardmap_verl.questions.wording import boxed, short_answer
from rewardmap_verl.rewards.perfect import perfect_answer, planned_legs, write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.network import Line, Network, Stop
from rewardmap_verl.transit.planner import Plan, Planner, stops_between

__all__ = ["BASELINES", "baseline_answers", "frequent_answers"]

BASELINES: Final = ("random", "majority", "planner", "gold")

_OPTION: Final = re.compile(r"\b([A-D])\)[ \t]{0,4}(\d{1,6})")

_Answerer = Callable[[EvalQuestion], str | None]
"""Returns ``None`` where a baseline does not answer a question type."""


def _direct(question: EvalQuestion, line: Line) -> str:
    truth = question.truth
    return write_route((LegText(line.name, truth.station_1, truth.station_2),), truth.form)


def _random(seed: int) -> _Answerer:
    def answer(question: EvalQuestion) -> str:
        rng = random.Random(f"{seed}/baseline/{question.key}")
        kind, network = question.truth.type, question.network
        if kind is QuestionType.PLANNING:
            return _direct(question, rng.choice(network.lines))
        if kind.reading is Reading.NUMBER:
            return short_answer(kind.reading, rng.randint(1, len(network.lines)))
        return short_answer(kind.reading, rng.randrange(2 if kind.reading is Reading.YES_NO else 4))

    return answer


def frequent_answers(training: Iterable[EvalQuestion]) -> Mapping[QuestionType, int]:
    """Return the most frequent gold answer of each type; of a tie, the smallest."""
    counts: dict[QuestionType, Counter[int]] = defaultdict(Counter)
    for question in training:
        counts[question.truth.type][question.truth.answer] += 1
    return {
        kind: min(found, key=lambda value: (-found[value], value)) for kind, found in counts.items()
    }


def _majority(frequent: Mapping[QuestionType, int]) -> _Answerer:
    def answer(question: EvalQuestion) -> str:
        kind, network = question.truth.type, question.network
        if kind is not QuestionType.PLANNING:
            return short_answer(kind.reading, frequent.get(kind, 1))
        names = {
            name for stop in network.find_stops(question.truth.station_1) for name in stop.lines
        }
        lines = [line for line in network.lines if line.name in names] or list(network.lines)
        return _direct(question, max(lines, key=lambda line: len(line.stops)))

    return answer


def _lines_of(stops: Iterable[Stop]) -> set[str]:
    return {name for stop in stops for name in stop.lines}


def _between(network: Network, first: str, second: str) -> int | None:
    """Count the stops between two stops on the first line that has both."""
    pairs = product(network.find_stops(first), network.find_stops(second))
    for line, (one, other) in product(network.lines, list(pairs)):
        if network.serves(line, one.index) and network.serves(line, other.index):
            found = stops_between(line, one.index, other.index)
            if found is not None:
                return len(found)
    return None


def _planned(planner: Planner, network: Network, first: str, second: str) -> Plan | None:
    pairs = product(network.find_stops(first), network.find_stops(second))
    plans = [
        plan
        for a, b in pairs
        for plan in planner.best_plans(a.index, b.index, limit=1)
        if plan.legs
    ]
    return min(plans, key=lambda plan: (plan.transfers, plan.rides), default=None)


def _route(question: EvalQuestion, planner: Planner) -> str:
    truth, network = question.truth, question.network
    plan = _planned(planner, network, truth.station_1, truth.station_2)
    if plan is None:
        return ""
    return write_route(planned_legs(network, plan), truth.form)


def _choice(question: EvalQuestion) -> str:
    """Choose the option with the counted number, or the nearest option."""
    truth = question.truth
    counted = _between(question.network, truth.station_1, truth.station_2)
    options = {letter: int(number) for letter, number in _OPTION.findall(question.text)}
    if counted is None or not options:
        return ""
    return boxed(min(options, key=lambda letter: abs(options[letter] - counted)))


def _planner() -> _Answerer:
    planners: dict[tuple[str, str], Planner] = {}

    def answer(question: EvalQuestion) -> str | None:
        truth, network = question.truth, question.network
        first, second = network.find_stops(truth.station_1), network.find_stops(truth.station_2)
        if truth.type is QuestionType.TORF1:
            return boxed("yes" if _lines_of(first) & _lines_of(second) else "no")
        if truth.type is QuestionType.TORF2:
            line = network.find_line(truth.line)
            served = line is not None and any(network.serves(line, s.index) for s in first)
            return boxed("yes" if served else "no")
        if truth.type is QuestionType.COUNTING1:
            return _choice(question)
        if truth.type is QuestionType.COUNTING2:
            return boxed(len(_lines_of(first)))
        if truth.type is QuestionType.COUNTING3:
            return boxed(len(network.lines))
        if truth.type is not QuestionType.PLANNING:
            return None
        place = (network.country, network.city)
        if place not in planners:
            planners[place] = Planner(network)
        return _route(question, planners[place])

    return answer


def _gold(question: EvalQuestion) -> str:
    return perfect_answer(question.truth, question.network)


def baseline_answers(
    name: str, questions: EvalSet, frequent: Mapping[QuestionType, int], seed: int = 0
) -> dict[str, tuple[Answer, ...]]:
    """Return a baseline's answers by question key.

    Args:
        name: One of ``BASELINES``.
        questions: The questions to answer.
        frequent: The result of ``frequent_answers`` for the training split.
        seed: Seed of the random answers.
    """
    answerers: dict[str, Callable[[], _Answerer]] = {
        "random": lambda: _random(seed),
        "majority": lambda: _majority(frequent),
        "planner": _planner,
        "gold": lambda: _gold,
    }
    answer = answerers[name]()
    found = {question.key: answer(question) for question in questions.items}
    return {key: (Answer(text),) for key, text in found.items() if text is not None}
