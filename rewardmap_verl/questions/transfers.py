"""Transfers: how many transfers does a trip need? Not one of the papers' types."""

from __future__ import annotations

from itertools import islice
from typing import Final

from rewardmap_verl.questions.context import Context, question, random_source, shuffled_pairs
from rewardmap_verl.questions.trips import unambiguous_plans
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import transfers_text
from rewardmap_verl.transit.network import Stop
from rewardmap_verl.transit.planner import Plan

__all__ = ["generate"]

_PAIRS_TRIED: Final = 10
"""Pairs drawn per requested question, enough to find trips of every length."""


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions, balancing the answers where the network allows.

    Pairs that are not connected, or whose best routes all have an ambiguous leg, are skipped.
    """
    rng = random_source(context, seed, QuestionType.TRANSFERS)
    by_number: dict[int, list[tuple[Stop, Stop]]] = {}
    for first, second in islice(shuffled_pairs(rng, context.askable), _PAIRS_TRIED * count):
        number = context.planner.fewest_transfers(first.index, second.index)
        if number is not None:
            by_number.setdefault(number, []).append((first, second))
    made: list[Question] = []
    while len(made) < count and any(by_number.values()):
        for number in sorted(by_number, reverse=True):
            trip = _next_trip(context, by_number[number])
            if trip is not None and len(made) < count:
                made.append(_ask(context, *trip))
    rng.shuffle(made)
    return made


def _next_trip(context: Context, pairs: list[tuple[Stop, Stop]]) -> tuple[Stop, Stop, Plan] | None:
    """Pop pairs until one has an unambiguous route."""
    while pairs:
        first, second = pairs.pop()
        plans = unambiguous_plans(context, first, second)
        if plans:
            return first, second, plans[0]
    return None


def _ask(context: Context, first: Stop, second: Stop, plan: Plan) -> Question:
    changes = [context.network.stops[leg.departure].name for leg in plan.legs[1:]]
    return question(
        context,
        QuestionType.TRANSFERS,
        transfers_text(first.name, second.name, context.brief),
        plan.transfers,
        station_1=first.name,
        station_2=second.name,
        annotation={"transfer_stops": changes},
    )
