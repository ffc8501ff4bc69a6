"""Trips that can be asked about: routes whose legs are all unambiguous."""

from __future__ import annotations

from typing import Final

from rewardmap_verl.questions.context import Context
from rewardmap_verl.transit.network import Network, Stop
from rewardmap_verl.transit.planner import Leg, Plan

__all__ = ["unambiguous_plans"]

_MAX_PLANS: Final = 8


def unambiguous_plans(context: Context, first: Stop, second: Stop) -> list[Plan]:
    """Return the best routes that have no ambiguous leg.

    A leg is ambiguous if the name of its departure or arrival could mean another stop of the line,
    or if it runs from the trunk of a branched line into a branch: the source does not say which
    trains run through.
    """
    plans = context.planner.best_plans(first.index, second.index, _MAX_PLANS)
    return [
        plan for plan in plans if all(_is_unambiguous(context.network, leg) for leg in plan.legs)
    ]


def _is_unambiguous(network: Network, leg: Leg) -> bool:
    line = network.line(leg.line)
    unique = all(
        network.find_stop_on(network.stops[i].name, line) == network.stops[i]
        for i in (leg.departure, leg.arrival)
    )
    one_train = any(leg.departure in path and leg.arrival in path for path in line.paths)
    return unique and one_train and not line.doubtful
