"""Perfect answers to questions, for explanations, audits and data checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.questions.wording import route_text, short_answer
from rewardmap_verl.rewards.correctness import is_correct_route, resolve_leg
from rewardmap_verl.rewards.detail import Trip, required_trip
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Plan, Planner

__all__ = ["perfect_answer", "perfect_legs", "planned_legs", "write_route"]

_LEG_KEYS: Final = frozenset({"route_name", "departure_stop", "arrival_stop"})
"""Keys that every leg of a reference route must have."""


def write_route(legs: Sequence[LegText], form: str = "") -> str:
    """Write a route exactly in the requested format."""
    rows = [
        {
            "route_name": leg.line,
            "departure_stop": leg.departure,
            "arrival_stop": leg.arrival,
            "via_stops": list(leg.via_names or ()),
            "num_via_stops": leg.via_count or 0,
        }
        for leg in legs
    ]
    return route_text(rows, form or "short")


def _referenced(truth: GroundTruth) -> list[tuple[LegText, ...]]:
    """Return the reference routes stored with the question."""
    return [
        tuple(_referenced_leg(leg) for leg in plan)
        for plan in truth.plans
        if plan and all(leg.keys() >= _LEG_KEYS for leg in plan)
    ]


def _referenced_leg(leg: Mapping[str, Any]) -> LegText:
    count, names = leg.get("num_via_stops"), leg.get("via_stops")
    return LegText(
        str(leg["route_name"]),
        str(leg["departure_stop"]),
        str(leg["arrival_stop"]),
        count if isinstance(count, int) else 0,
        tuple(map(str, names)) if isinstance(names, list | tuple) else (),
    )


def planned_legs(network: Network, plan: Plan) -> tuple[LegText, ...]:
    """Return the legs of a plan by the names of the network."""
    stops = network.stops
    return tuple(
        LegText(
            leg.line,
            stops[leg.departure].name,
            stops[leg.arrival].name,
            len(leg.via),
            tuple(stops[i].name for i in leg.via),
        )
        for leg in plan.legs
    )


def perfect_legs(
    truth: GroundTruth, network: Network, planner: Planner | None = None
) -> tuple[LegText, ...]:
    """Return a best route: a reference of the question if it has one, otherwise a planned route.

    Args:
        truth: Ground truth of a planning question.
        network: Network of its city.
        planner: Planner of the network to reuse; building one is slow for a large network.

    Raises:
        DataError: The two stops are not connected.
    """
    trip = required_trip(truth, network)
    for legs in sorted(_referenced(truth), key=len):
        if len(legs) <= trip.allowed and _is_right(legs, trip):
            return tuple(_with_line_name(leg, network) for leg in legs)
    planner = planner or Planner(network)
    ends = product(trip.origin.namesakes, trip.destination.namesakes)
    plans = [plan for pair in ends for plan in planner.best_plans(*pair, limit=1)]
    for plan in sorted(plans, key=lambda plan: plan.transfers):
        if _is_right(legs := planned_legs(network, plan), trip):
            return legs
    raise DataError(
        truth.place(),
        "station_2",
        truth.station_2,
        f"The network has no route to this stop from {truth.station_1}.",
    )


def _with_line_name(leg: LegText, network: Network) -> LegText:
    """Return the leg with the line name of the network, which is the one that the map prints.

    Reference routes of the published sets have the names of a map service.
    """
    line = network.find_line(leg.line)
    return leg if line is None else replace(leg, line=line.name)


def _is_right(legs: Sequence[LegText], trip: Trip) -> bool:
    rides = (resolve_leg(trip.network, leg) for leg in legs)
    return is_correct_route(rides, trip.origin, trip.destination)


def perfect_answer(
    truth: GroundTruth, network: Network | None, planner: Planner | None = None
) -> str:
    """Return the perfect response to a question: correct and exactly in the requested format.

    Raises:
        DataError: A planning question has no network or no route.
    """
    if truth.is_planning:
        if network is None:
            raise DataError(truth.place(), "network", truth.city, "Give the city's network.")
        return write_route(perfect_legs(truth, network, planner), truth.form)
    return short_answer(truth.type.reading, truth.answer)
