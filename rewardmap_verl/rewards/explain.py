"""Explain the reward of an answer: what was read, what was checked and what it earned.

All numbers come from ``score_answer``; this module only adds
the sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rewardmap_verl.errors import DataError, shorten
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.correctness import Ride, is_correct_route, resolve_leg, same_stop
from rewardmap_verl.rewards.detail import (
    Trip,
    required_trip,
    right_lines,
    right_transfers,
    route_detail,
)
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.parts import CreditItem, Score
from rewardmap_verl.rewards.perfect import perfect_answer
from rewardmap_verl.rewards.routes import FormFault, RouteAnswer, read_route
from rewardmap_verl.rewards.score import bounds, score_answer
from rewardmap_verl.rewards.short_answer import AnswerSource, ShortAnswer, read_short_answer
from rewardmap_verl.transit.network import Network

__all__ = ["Check", "Explanation", "RewardPart", "explain_answer"]

_SHOWN: Final = 300
_MAX_LEGS_SHOWN: Final = 30

_FORM_FAULTS: Final = {
    FormFault.LABELS: "a label or value is not in the requested format",
    FormFault.BLOCKS: "blocks are not separated by dashes, or their lines are in the wrong order",
    FormFault.FIELDS: "a block has a missing or an extra line",
    FormFault.AROUND: "there is text between, after or around the blocks",
}

_SOURCES: Final = {
    AnswerSource.BOX: "in the last \\boxed{}",
    AnswerSource.SENTENCE: 'in the last sentence "the answer is …", without a box',
    AnswerSource.BLOCK: "in the last answer block, without a box",
    AnswerSource.BARE: "as the entire text, without a box",
    AnswerSource.LAST_LINE: "as the last line, without a box",
    AnswerSource.NONE: "not found",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result."""

    good: bool
    text: str


@dataclass(frozen=True, slots=True)
class RewardPart:
    """One part of the reward."""

    name: str
    value: float
    highest: float
    times: float
    """Factor before W: α for detail, otherwise 1."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Breakdown of an answer's reward."""

    question: str
    read: tuple[Check, ...]
    """What was read, and whether it is in the requested format."""
    checks: tuple[Check, ...]
    """The checks that decide correctness."""
    items: tuple[CreditItem, ...]
    """Items of the detail reward; empty for all types except planning."""
    parts: tuple[RewardPart, ...]
    score: Score
    highest: float
    """The reward of a perfect answer."""
    perfect: str
    """A perfect answer; "" if there is none."""


def explain_answer(
    response: object, truth: GroundTruth, network: Network, config: RewardConfig
) -> Explanation:
    """Explain the reward of one answer.

    Args:
        response: The model's response.
        truth: Ground truth, validated when the data was loaded.
        network: Network of the question's city.
        config: Settings of the reward.
    """
    if truth.is_planning:
        read, checks, items = _route(response, truth, network, config)
    else:
        answer = read_short_answer(response, truth.type, config.max_characters, truth.options)
        read, checks = list(_short_read(response, answer)), list(_short_checks(answer, truth))
        items = ()
    score = score_answer(response, truth, network, config)
    return Explanation(
        question=_question(truth),
        read=tuple(read),
        checks=tuple(checks),
        items=items,
        parts=tuple(_parts(score, config)),
        score=score,
        highest=bounds(truth, config)[1],
        perfect=_perfect(truth, network),
    )


def _question(truth: GroundTruth) -> str:
    stops = [name for name in (truth.station_1, truth.station_2) if name]
    about = " → ".join(stops) if truth.is_planning else ", ".join(dict.fromkeys(stops))
    about += f", line {truth.line}" if truth.line else ""
    text = f"{truth.type} in {truth.country}/{truth.city} ({truth.difficulty_city})"
    return f"{text}: {about}" if about else text


def _parts(score: Score, config: RewardConfig) -> Iterator[RewardPart]:
    yield RewardPart("format", score.format, config.format_value, 1.0)
    yield RewardPart("correctness", score.correctness, config.correctness, 1.0)
    if score.detail is not None:
        yield RewardPart("detail", score.detail, config.detail_cap, config.detail_weight)


def _perfect(truth: GroundTruth, network: Network) -> str:
    try:
        return perfect_answer(truth, network)
    except DataError:
        return ""  # the two stops are not connected


def _unreadable(response: object, what: str) -> Check:
    if not isinstance(response, str):
        return Check(False, f"the response is not text but {shorten(response)}")
    return Check(False, f"{what} in {len(response)} characters: {shorten(response, _SHOWN)}")


# Short answers


def _short_read(response: object, answer: ShortAnswer) -> Iterator[Check]:
    if answer.source is AnswerSource.NONE:
        yield _unreadable(response, "no box and no answer")
        return
    found = f"found {_SOURCES[answer.source]}: {shorten(answer.text, _SHOWN)}"
    yield Check(answer.source is AnswerSource.BOX, found)
    if answer.value is None:
        yield Check(False, "it is not one unambiguous answer of the requested kind")
        return
    exact = (
        "exactly in the requested format"
        if answer.exact
        else "readable, but not in the exact format"
    )
    yield Check(answer.exact, exact)


def _short_checks(answer: ShortAnswer, truth: GroundTruth) -> Iterator[Check]:
    gold = perfect_answer(truth, None)
    yield Check(
        answer.value == truth.answer,
        f"it means {'nothing' if answer.value is None else answer.value}; "
        f"the gold answer is {truth.answer}, {gold}",
    )


# Routes


def _route(
    response: object, truth: GroundTruth, network: Network, config: RewardConfig
) -> tuple[list[Check], list[Check], tuple[CreditItem, ...]]:
    answer = read_route(response, truth.form, config.max_characters, config.max_legs)
    if not answer.legs:
        return [_unreadable(response, "no complete leg")], [], ()
    trip = required_trip(truth, network)
    rides = [resolve_leg(network, leg) for leg in answer.legs]
    right = is_correct_route(rides, trip.origin, trip.destination)
    detail = route_detail(rides, len(rides), right, trip, config)
    return (
        list(_route_read(answer)),
        list(_route_checks(rides, trip, right)),
        detail.items,
    )


def _route_read(answer: RouteAnswer) -> Iterator[Check]:
    legs = len(answer.legs)
    yield Check(True, f"{legs} leg{'s' * (legs != 1)} read")
    for fault in sorted(answer.form_faults):
        yield Check(False, _FORM_FAULTS[fault])
    if not answer.form_faults:
        yield Check(True, "exactly in the requested format")


def _route_checks(rides: Sequence[Ride], trip: Trip, right: bool) -> Iterator[Check]:
    origin, destination = rides[0].departure, rides[-1].arrival
    yield Check(same_stop(origin, trip.origin), f"the route starts at {origin.text!r}")
    yield from _leg_checks(rides[:_MAX_LEGS_SHOWN], trip)
    if len(rides) > _MAX_LEGS_SHOWN:
        yield Check(right, f"… and {len(rides) - _MAX_LEGS_SHOWN} more legs")
    yield Check(same_stop(destination, trip.destination), f"it ends at {destination.text!r}")
    yield Check(len(rides) <= trip.allowed, _length(len(rides), trip))


def _length(legs: int, trip: Trip) -> str:
    return f"legs: {legs}; {trip.allowed} allowed, {trip.required} required"


def _leg_checks(rides: Sequence[Ride], trip: Trip) -> Iterator[Check]:
    lines = set(right_lines(rides, trip).values())
    transfers = set(right_transfers(rides, trip).values())
    changes = [*pairwise(rides), None]
    for number, (ride, change) in enumerate(zip(rides, changes, strict=True)):
        yield Check(ride.is_real, f"leg {number + 1}: {_ride(ride)}{_way(number in lines)}")
        if change is not None:
            held = same_stop(change[0].arrival, change[1].departure)
            yield Check(held, f"change {number + 1}: {_change(*change)}{_way(number in transfers)}")


def _way(on_it: bool) -> str:
    return ", on a best route" if on_it else ""


def _ride(ride: Ride) -> str:
    if ride.line is None:
        return f"there is no line {ride.leg.line!r}"
    if ride.is_real:
        stays = ", which goes nowhere" if ride.stays else ""
        return f"{ride.line.name} from {ride.departure.text!r} to {ride.arrival.text!r}{stays}"
    ends = ((ride.departure, ride.boards), (ride.arrival, ride.alights))
    missing = " and ".join(repr(place.text) for place, there in ends if not there)
    return f"{ride.line.name} does not stop at {missing}"


def _change(here: Ride, there: Ride) -> str:
    if same_stop(here.arrival, there.departure):
        return f"at {here.arrival.text!r}"
    return f"arrives at {here.arrival.text!r} and departs from {there.departure.text!r}"
