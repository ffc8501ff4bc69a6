"""ValidRoute: can a route be traveled as described? Not one of the papers' types."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from rewardmap_verl.questions.context import (
    Context,
    balanced,
    question,
    random_source,
    shuffled_pairs,
)
from rewardmap_verl.questions.trips import unambiguous_plans
from rewardmap_verl.questions.types import Question, QuestionType
from rewardmap_verl.questions.wording import valid_route_text
from rewardmap_verl.transit.network import Stop

__all__ = ["generate"]

_PAIRS_TRIED: Final = 20
"""Pairs drawn per requested question; most pairs need one or two transfers."""
_MAX_TRANSFERS: Final = 2


@dataclass(frozen=True, slots=True)
class _Ride:
    line: str
    departure: Stop
    arrival: Stop


_Route = tuple[_Ride, ...]


def generate(context: Context, seed: int, count: int) -> list[Question]:
    """Generate up to ``count`` questions, half about valid routes and half about false ones.

    A valid route is a best route with one or two transfers. A false route has one fault: a leg on a
    line that does not call at one of its stops, or a transfer where the next line does not call.
    Stops that may have unlisted lines and homonyms are never used as a fault.
    """
    rng = random_source(context, seed, QuestionType.VALID_ROUTE)
    true: list[Question] = []
    false: list[Question] = []
    for number, route in enumerate(_routes(context, rng, _PAIRS_TRIED * count)):
        if len(true) >= count and len(false) >= count:
            break
        if number % 2 == 0:
            true.append(_ask(context, route, None))
        else:
            false += [_ask(context, *broken) for broken in islice(_faults(context, rng, route), 1)]
    return balanced(rng, true, false, count)


def _routes(context: Context, rng: random.Random, most: int) -> Iterator[_Route]:
    """Draw up to ``most`` pairs and yield a best route of each that needs 1 or 2 transfers."""
    stops = context.network.stops
    for first, second in islice(shuffled_pairs(rng, context.askable), most):
        changes = context.planner.fewest_transfers(first.index, second.index)
        if not changes or changes > _MAX_TRANSFERS:
            continue
        for plan in unambiguous_plans(context, first, second)[:1]:
            route = tuple(_Ride(x.line, stops[x.departure], stops[x.arrival]) for x in plan.legs)
            if not any(context.network.is_homonym(ride.arrival) for ride in route):
                yield route


def _faults(context: Context, rng: random.Random, route: _Route) -> Iterator[tuple[_Route, int]]:
    """Yield false variants of a valid route, each with the index of its false leg."""
    makers = [_other_line, _other_change]
    for leg in rng.sample(range(len(route)), len(route)):
        for maker in rng.sample(makers, len(makers)):
            for broken in maker(context, rng, route, leg):
                yield broken, leg


def _other_line(context: Context, rng: random.Random, route: _Route, leg: int) -> Iterator[_Route]:
    """Yield the route with another line on a leg; lines calling at one of its stops come first."""
    ride = route[leg]
    ends = ride.departure, ride.arrival
    ridden = {other.line for other in route}
    # A best route never rides a line twice, so a false one must not do so either.
    names = [line.name for line in context.network.lines if line.name not in ridden]
    for name in sorted(rng.sample(names, len(names)), key=lambda n: -_served(n, ends)):
        if any(name not in stop.lines and context.has_known_lines(stop) for stop in ends):
            yield _with(route, leg, _Ride(name, *ends))


def _other_change(
    context: Context, rng: random.Random, route: _Route, leg: int
) -> Iterator[_Route]:
    """Yield the route with a transfer moved to a stop where the leg's line does not call."""
    if leg == 0:
        return
    before, ride = route[leg - 1], route[leg]
    line = context.network.line(before.line)
    together = {i for path in line.paths if before.departure.index in path for i in path}
    stops = [stop for stop in context.askable_on(line) if stop.index in together]
    for stop in rng.sample(stops, len(stops)):
        is_end = stop in (before.departure, ride.arrival)
        if ride.line not in stop.lines and context.has_known_lines(stop) and not is_end:
            moved = _with(route, leg - 1, _Ride(before.line, before.departure, stop))
            yield _with(moved, leg, _Ride(ride.line, stop, ride.arrival))


def _served(name: str, stops: Sequence[Stop]) -> int:
    return sum(name in stop.lines for stop in stops)


def _with(route: _Route, leg: int, ride: _Ride) -> _Route:
    return (*route[:leg], ride, *route[leg + 1 :])


def _ask(context: Context, route: _Route, fault: int | None) -> Question:
    legs = [(ride.line, ride.departure.name, ride.arrival.name) for ride in route]
    return question(
        context,
        QuestionType.VALID_ROUTE,
        valid_route_text(legs, context.brief),
        int(fault is None),
        station_1=route[0].departure.name,
        station_2=route[-1].arrival.name,
        annotation={"legs": [list(leg) for leg in legs], "fault": fault},
    )
