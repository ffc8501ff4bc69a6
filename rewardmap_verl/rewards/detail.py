"""Detail reward of a route: partial credit for ends, lines, transfers and number of legs.

The items are those of algorithm 1 of RewardMap (arXiv 2510.02240, appendix). docs/reward.md lists
which of its values are kept and why the others are changed. In short:

* A correct route earns every item and loses ``surplus_leg`` for each leg above the allowed number.
* A wrong route earns each end, line and transfer that is correct by itself:

  - a line, if both stops are on it and the ride brings the traveler one leg closer to the
    destination on a route within the allowed number of legs;
  - a transfer, if both legs name one interchange on such a route.

  Each step is credited once, however often it is repeated. A wrong route earns nothing if it has
  more legs than allowed or is not a simple path: it stays at a stop, returns to a previous stop,
  departs from the origin again, or continues after the destination. Padding and lists of
  alternatives therefore never pay.
* The sum is scaled so that a perfect route earns the cap for any number of transfers.

Distance to the destination is counted in legs, not stops, and is the same on every route with the
minimum number of transfers, so tied routes are treated alike.
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
    """Requirements of a planning question, in legs."""

    network: Network
    origin: NamedStop
    destination: NamedStop
    required: int
    """Minimum number of legs; at least 1."""
    allowed: int
    """Maximum number of legs without a deduction: the question's own count or ``required``,
    whichever is larger."""

    def legs_left(self, stops: Sequence[int]) -> int | None:
        """Return the minimum number of legs from any of the stops to the destination."""
        return self.network.fewest_legs(stops, self.destination.namesakes)

    def legs_done(self, stops: Sequence[int]) -> int | None:
        """Return the minimum number of legs from the origin to any of the stops."""
        return self.network.fewest_legs(self.origin.namesakes, stops)

    def suffices(self, done: int | None, left: int | None) -> bool:
        """Return whether ``done`` legs plus ``left`` legs are within the allowed number."""
        return done is not None and left is not None and done + left <= self.allowed


@dataclass(frozen=True, slots=True)
class RouteDetail:
    """The detail reward of a route with its breakdown."""

    value: float
    items: tuple[CreditItem, ...]
    """Origin, destination, lines, transfers and, if any, surplus legs."""
    surplus: int
    """Number of legs above the allowed number."""


def required_trip(truth: GroundTruth, network: Network) -> Trip:
    """Compute the requirements of a planning question. The network must have its two stops."""
    origin = resolve_stop(network, truth.station_1)
    destination = resolve_stop(network, truth.station_2)
    counted = truth.question_transfer_count + 1
    required = network.fewest_legs(origin.namesakes, destination.namesakes)
    required = max(counted if required is None else required, 1)
    return Trip(network, origin, destination, required, max(counted, required))


def _full_credit(trip: Trip, surplus: int, values: DetailItems) -> list[CreditItem]:
    """Return the items of a correct route."""
    lines, transfers = _worths(trip, values)
    why = "the route is correct"
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
    """Return the total worth of the required lines and of the required transfers."""
    line = values.direct_line if trip.required == 1 else values.line
    return line * trip.required, values.transfer * (trip.required - 1)


def _visits(rides: Sequence[Ride]) -> list[NamedStop]:
    """Return the stops of a route in order; a consistent transfer stop appears once."""
    visits = [rides[0].departure]
    for here, there in pairwise(rides):
        visits.append(here.arrival)
        if not same_stop(here.arrival, there.departure):
            visits.append(there.departure)
    return [*visits, rides[-1].arrival]


def _is_simple_path(rides: Sequence[Ride], trip: Trip) -> bool:
    """Return whether a route visits no stop twice and has the ends only at its ends."""
    return not (
        any(same_stop(one, other) for one, other in combinations(_visits(rides), 2))
        or any(same_stop(ride.departure, trip.origin) for ride in rides[1:])
        or any(same_stop(ride.arrival, trip.destination) for ride in rides[:-1])
    )


def right_lines(rides: Sequence[Ride], trip: Trip) -> Mapping[int, int]:
    """Return the indexes of legs with a correct line, keyed by legs left at their departure."""
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
    """Return the indexes of legs before a correct transfer, keyed by legs left there."""
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
    """Return the items of a wrong route within the allowed number of legs."""
    if not _is_simple_path(rides, trip):
        return _no_credit(trip, values, "the legs are not a simple path")
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
    return f"{place.text!r} is {'correct' if right else 'another stop'}"


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
        rides: Its resolved legs; legs above the allowed number may be omitted.
        legs: Number of legs, at least 1.
        right: Result of ``is_correct_route``.
        trip: Requirements of the question.
        config: Settings of the reward.
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
