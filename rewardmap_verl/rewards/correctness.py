"""Correctness of a route, by algorithm 1 of ReasonMap (arXiv 2505.18675, appendix B).

A route is correct if its first departure is stop 1, its last arrival is stop 2, every leg names a
real line, both stops of the leg are on that line, and each arrival is the next departure. Stop
order, branches and the number of transfers are not checked, and stops are compared by name: two
stops with the same name (New York's "86 St") count as one, as they do in the papers' results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.network import Line, Network

__all__ = ["NamedStop", "Ride", "is_correct_route", "resolve_leg", "resolve_stop", "same_stop"]

MAX_NAME_LENGTH: Final = 160
"""Maximum length of a name in characters. The longest name of the 30 networks has 60."""


@dataclass(frozen=True, slots=True)
class NamedStop:
    """A stop as named in a question or an answer, resolved against the network."""

    text: str
    stops: tuple[int, ...]
    """Indexes of the matching stops, restricted to the leg's line if any of them are on it."""
    namesakes: tuple[int, ...]
    """Indexes of all stops that match the name; empty if there are none."""


@dataclass(frozen=True, slots=True)
class Ride:
    """One leg, resolved against the network."""

    leg: LegText
    line: Line | None
    """``None`` if the network has no such line."""
    departure: NamedStop
    arrival: NamedStop
    boards: bool
    """True if the departure stop is on the line."""
    alights: bool
    """True if the arrival stop is on the line."""

    @property
    def is_real(self) -> bool:
        """True if the line exists and both stops are on it."""
        return self.boards and self.alights

    @property
    def stays(self) -> bool:
        """True if it ends where it starts."""
        return same_stop(self.departure, self.arrival)


def same_stop(one: NamedStop, other: NamedStop) -> bool:
    """Return whether two names refer to one stop, or are spellings of one name."""
    if not one.namesakes or not other.namesakes:
        return one.text.casefold() == other.text.casefold()
    return one.namesakes == other.namesakes or not set(one.stops).isdisjoint(other.stops)


def resolve_stop(network: Network, text: str) -> NamedStop:
    """Resolve a stop name against all stops of the network."""
    stops = network.find_indexes(text) if len(text) <= MAX_NAME_LENGTH else ()
    return NamedStop(text, stops, stops)


def _place_on(network: Network, text: str, line: Line | None) -> tuple[NamedStop, bool]:
    """Resolve a stop name, preferring stops of a line, and return whether it is on that line."""
    place = resolve_stop(network, text)
    if line is None:
        return place, False
    served = network.stops_of(line)
    if served.issuperset(place.stops):
        return place, bool(place.stops)
    there = tuple(stop for stop in place.stops if stop in served)
    if not there:
        return place, False
    # A partial name means the line's own stop only, so it joins no lines that do not meet.
    namesakes = there if network.is_partial_name(text) else place.namesakes
    return NamedStop(text, there, namesakes), True


def resolve_leg(network: Network, leg: LegText) -> Ride:
    """Resolve the line and the stops of a leg."""
    line = network.find_line(leg.line) if len(leg.line) <= MAX_NAME_LENGTH else None
    departure, boards = _place_on(network, leg.departure, line)
    arrival, alights = _place_on(network, leg.arrival, line)
    return Ride(leg, line, departure, arrival, boards, alights)


def is_correct_route(rides: Iterable[Ride], origin: NamedStop, destination: NamedStop) -> bool:
    """Return whether a route is correct by algorithm 1 of ReasonMap.

    Rides are consumed lazily and only up to the first error, so the legs of a long wrong route
    need not be resolved.
    """
    here, rode = origin, False
    for ride in rides:
        if not ride.is_real or not same_stop(here, ride.departure):
            return False
        here, rode = ride.arrival, True
    return rode and same_stop(here, destination)
