"""planning: how to travel from one stop to another? All tied best routes are references."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rewardmap_verl.questions.context import (
    Context,
    pairs_along_lines,
    question,
    random_source,
    shuffled_pairs,
)
from rewardmap_verl.questions.trips import unambiguous_plans
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import FORMS, planning_text
from rewardmap_verl.transit.network import Network, Stop
from rewardmap_verl.transit.planner import Leg, Plan

__all__ = ["generate", "split_by_transfers"]

_SHARES: Final = (20, 15, 5)
"""Trips with 0, 1, and 2 or more transfers (ReasonMap, arXiv 2505.18675, section 3.2)."""

_FEWEST_RIDES: Final = 2


def split_by_transfers(count: int) -> tuple[int, int, int]:
    """Split a number of trips 20 : 15 : 5 by transfers; the three parts add up to ``count``."""
    total = sum(_SHARES)
    direct, one = (count * share // total for share in _SHARES[:2])
    # The remainder of rounding goes to the parts that lost most.
    many = count * _SHARES[2] // total
    parts = [direct, one, many]
    lost = sorted(range(3), key=lambda i: -(count * _SHARES[i] % total))
    for i in lost[: count - sum(parts)]:
        parts[i] += 1
    return parts[0], parts[1], parts[2]


def generate(
    context: Context, seed: int, count: int, forms: Sequence[str] = FORMS
) -> list[Question]:
    """Generate up to ``count`` questions, split 20 : 15 : 5 by required transfers.

    If the network has too few trips of one kind, that kind stays short. Forms rotate. Trips to the
    adjacent stop are skipped, and so are trips with an ambiguous leg (see
    ``unambiguous_plans``).
    """
    rng = random_source(context, seed, QuestionType.PLANNING)
    wanted = split_by_transfers(count)
    asked: dict[frozenset[int], tuple[Stop, Stop, list[Plan]]] = {}
    for kind, number in enumerate(wanted):
        found = 0
        for first, second in _candidates(context, rng, kind) if number else ():
            key = frozenset((first.index, second.index))
            plans = [] if key in asked else _usable_plans(context, first, second, kind)
            if plans:
                asked[key] = first, second, plans
                found += 1
            if found == number:
                break
    trips = list(asked.values())
    rng.shuffle(trips)
    return [_ask(context, *trip, forms[i % len(forms)]) for i, trip in enumerate(trips)]


def _candidates(context: Context, rng: random.Random, kind: int) -> Iterator[tuple[Stop, Stop]]:
    return shuffled_pairs(rng, context.askable) if kind else pairs_along_lines(context, rng)


def _usable_plans(context: Context, first: Stop, second: Stop, kind: int) -> list[Plan]:
    """Return the reference routes if the trip needs ``kind`` transfers (2 means 2 or more)."""
    transfers = context.planner.fewest_transfers(first.index, second.index)
    if transfers is None or min(transfers, len(_SHARES) - 1) != kind:
        return []
    return [
        plan for plan in unambiguous_plans(context, first, second) if plan.rides >= _FEWEST_RIDES
    ]


def _leg_dict(network: Network, leg: Leg) -> dict[str, Any]:
    return {
        "route_name": leg.line,
        "departure_stop": network.stops[leg.departure].name,
        "arrival_stop": network.stops[leg.arrival].name,
        "via_stops": [network.stops[i].name for i in leg.via],
        "num_via_stops": len(leg.via),
    }


def _ask(context: Context, first: Stop, second: Stop, plans: list[Plan], form: str) -> Question:
    network = context.network
    routes = tuple(tuple(_leg_dict(network, leg) for leg in plan.legs) for plan in plans)
    return question(
        context,
        QuestionType.PLANNING,
        planning_text(first.name, second.name, form, context.brief),
        -1,
        station_1=first.name,
        station_2=second.name,
        question_transfer_count=plans[0].transfers,
        form=form,
        annotation={"transfer_stops": [leg["departure_stop"] for leg in routes[0][1:]]},
        plans=routes,
    )
