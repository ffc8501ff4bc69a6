"""Partial credit for a route: both ends, the lines, the transfers, the number of legs.

Algorithm 1 of RewardMap (arXiv 2510.02240, appendix) names these items; docs/reward.md says which
of its values were kept and why the rest was repaired. In short:

* A right route earns every item. Each leg beyond those allowed takes ``surplus_leg`` away.
* A wrong route earns each end, each line and each transfer that is right on its own:

  - a line, when both stops lie on it and the ride brings the traveller one line nearer to the
    destination, on a way that the allowed number of legs suffices for;
  - a transfer, when both legs name one interchange that lies on such a way.

  Each step of the way earns once, whatever is repeated. A wrong route earns nothing at all when it
  has more legs than allowed or is not one simple way: when it stays at a stop, comes back to one
  that it has left, sets out from the origin again, or goes on after the destination. So padding
  and lists of alternatives never pay.
* The sum is scaled so that a perfect route has the cap whatever its number of transfers.

How near a stop is to the destination is counted in lines and not in stops, and is the same on every
route with as few transfers: no route of a tie is preferred to another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from rewardmap_verl.rewards.config import DetailItems, RewardConfig
from rewardmap_verl.rewards.correctness import NamedStop, Ride, resolve_stop, same_stop
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.parts import CreditItem, detail_value
from rewardmap_verl.transit.network import Network

__all__ = ["RouteDetail", "Trip", "required_trip", "right_lines", "right_transfers", "route_detail"]


@dataclass(frozen=True, slots=True)
class Trip:
    """What a planning question asks for, measured in legs."""

    network: Network
    origin: NamedStop
    destination: NamedStop
    required: int
    """Fewest legs with which one gets there; at least 1."""
    allowed: int
    """Legs that an answer may have: the question's own count, or ``required`` if that is more."""

    def legs_left(self, stops: Sequence[int]) -> int | None:
        """Return the fewest legs from any of the stops to the destination, 0 at it."""
        return self.network.fewest_legs(stops, self.destination.namesakes)

    def legs_done(self, stops: Sequence[int]) -> int | None:
        """Return the fewest legs from the origin to any of the stops, 0 at it."""
        return self.network.fewest_legs(self.origin.namesakes, stops)

    def suffices(self, done: int | None, left: int | None) -> bool:
        """Say whether the allowed legs suffice for so many before and so many to come."""
        return done is not None and left is not None and done + left <= self.allowed


@dataclass(frozen=True, slots=True)
class RouteDetail:
    """The detail reward of a route and what it is made of."""

    value: float
    items: tuple[CreditItem, ...]
    """Origin, destination, lines, transfers, and surplus legs if there are any."""
    surplus: int
    """Legs beyond those allowed."""


def required_trip(truth: GroundTruth, network: Network) -> Trip:
    """Work out what a planning question asks for. The network must have its two stops."""
    origin = resolve_stop(network, truth.station_1)
    destination = resolve_stop(network, truth.station_2)
    counted = truth.question_transfer_count + 1
    required = network.fewest_legs(origin.namesakes, destination.namesakes)
    required = max(counted if required is None else required, 1)
    return Trip(network, origin, destination, required, max(counted, required))


def _full_credit(trip: Trip, surplus: int, values: DetailItems) -> list[CreditItem]:
    """Return the items of a right route."""
    lines, transfers = _worths(trip, values)
    why = "the route is right"
    items = [
        CreditItem("origin", values.origin, values.origin, why),
        CreditItem("destination", values.destination, values.destination, why),
        CreditItem("lines", lines, lines, why),
        CreditItem("transfers", transfers, transfers, why),
    ]
    if surplus:
        why = f"{surplus} more than the {trip.allowed} allowed"
        items.append(CreditItem("surplus legs", -values.surplus_leg * surplus, 0.0, why))
    return items


def _no_credit(trip: Trip, values: DetailItems, why: str) -> list[CreditItem]:
    return [CreditItem(item.name, 0.0, item.worth, why) for item in _full_credit(trip, 0, values)]


def _worths(trip: Trip, values: DetailItems) -> tuple[float, float]:
    """Return what all required lines and all required transfers are worth."""
    line = values.direct_line if trip.required == 1 else values.line
    return line * trip.required, values.transfer * (trip.required - 1)


def _visits(rides: Sequence[Ride]) -> list[NamedStop]:
    """Return the stops that a route names, in order; a stop where one changes counts once."""
    visits = [rides[0].departure]
    for here, there in pairwise(rides):
        visits.append(here.arrival)
        if not same_stop(here.arrival, there.departure):
            visits.append(there.departure)
    return [*visits, rides[-1].arrival]


def _is_simple_path(rides: Sequence[Ride], trip: Trip) -> bool:
    """Say whether a route could be one simple way from the origin to the destination."""
    return not (
        any(same_stop(one, other) for one, other in combinations(_visits(rides), 2))
        or any(same_stop(ride.departure, trip.origin) for ride in rides[1:])
        or any(same_stop(ride.arrival, trip.destination) for ride in rides[:-1])
    )


def right_lines(rides: Sequence[Ride], trip: Trip) -> Mapping[int, int]:
    """Return which leg has a right line, by how many legs are left where it departs."""
    found: dict[int, int] = {}
    for number, ride in enumerate(rides):
        if not ride.is_real:
            continue
        before = trip.legs_left(ride.departure.namesakes)
        after = trip.legs_left(ride.arrival.namesakes)
        done = trip.legs_done(ride.departure.namesakes)
        if before is None or after != before - 1 or before > trip.required or done is None:
            continue
        if trip.suffices(done + 1, after):
            found.setdefault(before, number)
    return found


def right_transfers(rides: Sequence[Ride], trip: Trip) -> Mapping[int, int]:
    """Return after which leg a right transfer stands, by how many legs are left there."""
    found: dict[int, int] = {}
    for number, (here, there) in enumerate(pairwise(rides)):
        stop = here.arrival.namesakes
        if not stop or not same_stop(here.arrival, there.departure):
            continue
        left, done = trip.legs_left(stop), trip.legs_done(stop)
        if not left or not done or left >= trip.required or not trip.suffices(done, left):
            continue
        if len(trip.network.lines_at(stop)) > 1:
            found.setdefault(left, number)
    return found


def _partial_credit(rides: Sequence[Ride], trip: Trip, values: DetailItems) -> list[CreditItem]:
    """Return the items of a wrong route of no more legs than allowed."""
    if not _is_simple_path(rides, trip):
        return _no_credit(trip, values, "the legs are not one simple way")
    first, last = rides[0].departure, rides[-1].arrival
    begins, ends = same_stop(first, trip.origin), same_stop(last, trip.destination)
    lines, transfers = _worths(trip, values)
    return [
        CreditItem("origin", values.origin * begins, values.origin, _named(first, begins)),
        CreditItem(
            "destination",
            values.destination * ends,
            values.destination,
            _named(last, ends),
        ),
        _steps("lines", len(right_lines(rides, trip)), trip.required, lines),
        _steps("transfers", len(right_transfers(rides, trip)), trip.required - 1, transfers),
    ]


def _named(place: NamedStop, right: bool) -> str:
    return f"{place.text!r} is {'right' if right else 'another stop'}"


def _steps(name: str, right: int, required: int, worth: float) -> CreditItem:
    credit = worth * right / required if required else 0.0
    return CreditItem(
        name, credit, worth, f"{right} of {required} right" if required else "none needed"
    )


def route_detail(
    rides: Sequence[Ride], legs: int, right: bool, trip: Trip, config: RewardConfig
) -> RouteDetail:
    """Compute the detail reward of a readable route.

    Args:
        rides: Its legs, looked up; those beyond the allowed ones may be left out.
        legs: How many legs it has; at least 1.
        right: What :func:`~rewardmap_verl.rewards.correctness.is_correct_route` says of it.
        trip: What the question asks for.
        config: The reward's numbers.
    """
    surplus = max(0, legs - trip.allowed)
    if right:
        items = _full_credit(trip, surplus, config.items)
    elif surplus:
        reason = f"a wrong route of {legs} legs, {trip.allowed} allowed"
        items = _no_credit(trip, config.items, reason)
    else:
        items = _partial_credit(rides, trip, config.items)
    return RouteDetail(detail_value(items, right, config), tuple(items), surplus)
