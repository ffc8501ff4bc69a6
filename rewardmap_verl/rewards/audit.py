"""Search for wrong answers that score high: how close to gold can an incorrect answer get?

For each question, the known attacks are scored and a local search starts from the best of them.
Every score is checked against the guarantees in docs/reward.md. A breach is a bug in the reward or
in its settings.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.attacks import (
    Legs,
    faulty_routes,
    hedged_routes,
    padded_routes,
    short_answers,
    wrong_routes,
)
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.detail import Trip, required_trip
from rewardmap_verl.rewards.parts import Score
from rewardmap_verl.rewards.perfect import perfect_answer, perfect_legs, write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.rows import QuestionRow
from rewardmap_verl.rewards.score import bounds, score_answer
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner

__all__ = [
    "Attempt",
    "AuditGroup",
    "Breach",
    "QuestionAudit",
    "audit_question",
    "audit_questions",
    "sample",
]

_ROUNDING: Final = 1e-9
_UNREADABLE: Final = "I cannot tell from the picture."


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attacking answer and its score."""

    name: str
    text: str
    score: Score


@dataclass(frozen=True, slots=True)
class Breach:
    """A violated guarantee."""

    rule: str
    where: str
    answer: Attempt


@dataclass(frozen=True, slots=True)
class QuestionAudit:
    """Result of the attacks on one question."""

    row: QuestionRow
    gold: Attempt
    best_wrong: Attempt
    breaches: tuple[Breach, ...]

    @property
    def margin(self) -> float:
        """Distance of the best wrong answer from gold, as a share of gold's reward."""
        return 1.0 - self.best_wrong.score.score / self.gold.score.score


@dataclass(slots=True)
class AuditGroup:
    """The audited questions of one type and number of transfers."""

    type: QuestionType
    transfers: int
    audits: list[QuestionAudit] = field(default_factory=list)

    @property
    def closest(self) -> QuestionAudit:
        """The question whose best wrong answer is closest to gold."""
        return min(self.audits, key=lambda audit: audit.margin)


class _Trial:
    """Scorer of attacks on one question that keeps the best wrong answer."""

    def __init__(self, row: QuestionRow, config: RewardConfig) -> None:
        self.row = row
        self.config = config
        self.best_wrong = self.attempt("nothing", "")
        self.breaches: list[Breach] = []

    def attempt(self, name: str, text: str) -> Attempt:
        row = self.row
        return Attempt(name, text, score_answer(text, row.truth, row.network, self.config))

    def try_(self, name: str, text: str) -> Attempt:
        """Score an answer and check the guarantees that hold for every answer."""
        tried = self.attempt(name, text)
        score = tried.score
        if not 0.0 <= score.score <= bounds(self.row.truth, self.config)[1] + _ROUNDING:
            self.breach("every reward is within its bounds", tried)
        if not score.acc:
            if (score.detail or 0.0) > self.config.wrong_cap + _ROUNDING:
                self.breach("no wrong answer earns the detail of a correct one", tried)
            if score.score > self.best_wrong.score.score:
                self.best_wrong = tried
        return tried

    def hedge(self, name: str, text: str) -> None:
        """Score an answer that must not be correct."""
        tried = self.try_(name, text)
        if tried.score.acc:
            self.breach("a hedge is not a correct answer", tried)

    def breach(self, rule: str, answer: Attempt) -> None:
        self.breaches.append(Breach(rule, f"{self.row.truth.place()}, {self.row.where}", answer))

    def descending(self, rule: str, answers: Iterable[Attempt], strictly: bool = True) -> None:
        """Check that each answer scores above the next one, or at least not below it."""
        for better, worse in pairwise(answers):
            least = worse.score.score + (_ROUNDING if strictly else -_ROUNDING)
            if better.score.score < least:
                self.breach(f"{rule} ({better.name} above {worse.name})", worse)


def audit_question(
    row: QuestionRow,
    config: RewardConfig,
    seed: int = 0,
    tries: int = 60,
    planner: Planner | None = None,
) -> QuestionAudit:
    """Attack one question.

    Args:
        row: The question; its response is ignored.
        config: Settings of the reward.
        seed: Seed of the search.
        tries: Number of search steps per route.
        planner: Planner of the question's network to reuse.

    Raises:
        DataError: The two stops of a planning question are not connected.
    """
    trial = _Trial(row, config)
    gold = trial.attempt("gold", perfect_answer(row.truth, row.network, planner))
    if gold.score.score < bounds(row.truth, config)[1] - _ROUNDING:
        trial.breach("the perfect answer earns the maximum", gold)
    unreadable = trial.try_("unreadable", _UNREADABLE)
    if row.prompt:
        trial.try_("the question itself", row.prompt)
    if row.truth.is_planning:
        _attack_route(trial, gold, unreadable, random.Random(f"{seed}/{row.where}"), tries, planner)
    else:
        for name, text in short_answers(row.truth):
            trial.hedge(name, text)
    trial.descending("a wrong answer scores below gold", [gold, trial.best_wrong])
    return QuestionAudit(row, gold, trial.best_wrong, tuple(trial.breaches))


def _attack_route(
    trial: _Trial,
    gold: Attempt,
    unreadable: Attempt,
    rng: random.Random,
    tries: int,
    planner: Planner | None,
) -> None:
    truth, network = trial.row.truth, trial.row.network
    trip, legs = required_trip(truth, network), perfect_legs(truth, network, planner)

    def try_legs(name: str, route: Legs) -> Attempt:
        return trial.try_(name, write_route(route, truth.form))

    stay = LegText(legs[0].line, legs[0].departure, legs[0].departure)
    longer = try_legs("longer", (*(stay,) * (trip.allowed + 1 - len(legs)), *legs))
    one_ride = LegText("Line 0 Express", truth.station_1, truth.station_2)
    order = [gold, longer, try_legs("right ends, wrong line", (one_ride,)), unreadable]
    if not trial.config.detail_weight:
        order.remove(longer)  # without the detail reward, a longer route scores the same
    if trial.config.detail_weight or trial.config.format_value:
        trial.descending("answers are ordered", order)
    _pad(trial, "gold", gold, padded_routes(legs, network, rng), try_legs)
    for name, broken in faulty_routes(legs, network, trip, rng):
        fault = try_legs(f"wrong {name}", broken)
        trial.descending("breaking one thing lowers the reward", [gold, fault])
        _pad(trial, fault.name, fault, padded_routes(broken, network, rng), try_legs)
    for name, wrong in wrong_routes(legs, network, trip, rng):
        try_legs(name, wrong)
    for name, text in hedged_routes(legs, (one_ride,), truth.form):
        trial.hedge(name, text)
    _search(trial, legs, trip, rng, tries)


def _pad(
    trial: _Trial,
    name: str,
    base: Attempt,
    padded: Iterable[tuple[str, Legs]],
    try_legs: Callable[[str, Legs], Attempt],
) -> None:
    for padding, route in padded:
        answer = try_legs(f"{name}, {padding}", route)
        trial.descending("padding never raises the reward", [base, answer], strictly=False)


def _search(trial: _Trial, legs: Legs, trip: Trip, rng: random.Random, tries: int) -> None:
    """Change one thing at a time, starting from gold and from the best wrong route so far."""
    base = legs
    for _ in range(tries):
        route = _changed(rng.choice((legs, base)), trip.network, rng)
        before = trial.best_wrong
        trial.try_("found by search", write_route(route, trial.row.truth.form))
        base = route if trial.best_wrong is not before else base


def _changed(legs: Legs, network: Network, rng: random.Random) -> Legs:
    number = rng.randrange(len(legs))
    leg = legs[number]
    kind = rng.choice(("line", "departure", "arrival", "drop", "split"))
    stop = rng.choice(network.stops).name
    if kind == "drop" and len(legs) > 1:
        return (*legs[:number], *legs[number + 1 :])
    if kind == "split":
        halves = replace(leg, arrival=stop), replace(leg, departure=stop)
        return (*legs[:number], *halves, *legs[number + 1 :])
    if kind == "line":
        put = replace(leg, line=rng.choice(network.lines).name)
    else:
        put = replace(leg, departure=stop) if kind == "departure" else replace(leg, arrival=stop)
    return (*legs[:number], put, *legs[number + 1 :])


def sample(
    rows: Iterable[QuestionRow], limit: int, seed: int
) -> Iterator[tuple[AuditGroup, list[QuestionRow]]]:
    """Draw up to ``limit`` questions per type and number of transfers, by the seed."""
    kept: dict[tuple[str, int], list[tuple[float, QuestionRow]]] = {}
    for row in rows:
        key = row.truth.type.value, row.truth.question_transfer_count
        drawn = random.Random(f"{seed}/{row.truth.place(row.where)}").random()
        group = kept.setdefault(key, [])
        group.append((drawn, row))
        if len(group) > 4 * limit:
            kept[key] = sorted(group, key=lambda pair: pair[0])[:limit]
    order = [type.value for type in QuestionType]
    for kind, transfers in sorted(kept, key=lambda key: (order.index(key[0]), key[1])):
        chosen = sorted(kept[kind, transfers], key=lambda pair: pair[0])[:limit]
        yield AuditGroup(QuestionType(kind), transfers), [row for _, row in chosen]


def audit_questions(
    rows: Iterable[QuestionRow], config: RewardConfig, limit: int, seed: int = 0, tries: int = 60
) -> Iterator[AuditGroup]:
    """Attack up to ``limit`` questions per type and number of transfers, group by group."""
    planners: dict[tuple[str, str], Planner] = {}
    for group, chosen in sample(rows, limit, seed):
        for row in chosen:
            city = row.truth.country, row.truth.city
            planner = planners.get(city)
            if row.truth.is_planning and not row.truth.plans and planner is None:
                planner = planners[city] = Planner(row.network)
            group.audits.append(audit_question(row, config, seed, tries, planner))
        yield group
