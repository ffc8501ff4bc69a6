"""Is a route right? By algorithm 1 of ReasonMap (arXiv 2505.18675, appendix B) and no stricter.

A route is right when its first departure is stop 1, its last arrival is stop 2, every leg names a
real line, both stops of the leg lie on that line, and each arrival is the next departure. The
running order, branches and the number of transfers play no part, and stops are compared by name:
two stops of one name (New York's "86 St") pass for one, as they do in the papers' figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.network import Line, Network

__all__ = ["NamedStop", "Ride", "is_correct_route", "resolve_leg", "resolve_stop", "same_stop"]

MAX_NAME_LENGTH: Final = 160
"""Characters of a name; the longest of the 30 networks has 60. A longer text names nothing."""


@dataclass(frozen=True, slots=True)
class NamedStop:
    """A stop as a question or an answer names it."""

    text: str
    stops: tuple[int, ...]
    """Indexes of the stops that are meant: those on the leg's line where there are any."""
    namesakes: tuple[int, ...]
    """Indexes of all stops that the name may mean; empty when the network has none."""


@dataclass(frozen=True, slots=True)
class Ride:
    """One leg, looked up in the network."""

    leg: LegText
    line: Line | None
    """``None`` when the network has no such line."""
    departure: NamedStop
    arrival: NamedStop
    boards: bool
    """True when the departure stop lies on the line."""
    alights: bool
    """True when the arrival stop lies on the line."""

    @property
    def is_real(self) -> bool:
        """True when the line exists and both stops lie on it."""
        return self.boards and self.alights

    @property
    def stays(self) -> bool:
        """True when it ends where it began."""
        return same_stop(self.departure, self.arrival)


def same_stop(one: NamedStop, other: NamedStop) -> bool:
    """Say whether two names mean one stop, or are spellings of one name."""
    if not one.namesakes or not other.namesakes:
        return one.text.casefold() == other.text.casefold()
    return one.namesakes == other.namesakes or not set(one.stops).isdisjoint(other.stops)


def resolve_stop(network: Network, text: str) -> NamedStop:
    """Look a name up in the whole network."""
    stops = network.find_indexes(text) if len(text) <= MAX_NAME_LENGTH else ()
    return NamedStop(text, stops, stops)


def _place_on(network: Network, text: str, line: Line | None) -> tuple[NamedStop, bool]:
    """Look a name up, on a line if it is there, and say whether it is."""
    place = resolve_stop(network, text)
    if line is None:
        return place, False
    served = network.stops_of(line)
    if served.issuperset(place.stops):
        return place, bool(place.stops)
    there = tuple(stop for stop in place.stops if stop in served)
    return (NamedStop(text, there, place.namesakes), True) if there else (place, False)


def resolve_leg(network: Network, leg: LegText) -> Ride:
    """Look the line and the stops of a leg up."""
    line = network.find_line(leg.line) if len(leg.line) <= MAX_NAME_LENGTH else None
    departure, boards = _place_on(network, leg.departure, line)
    arrival, alights = _place_on(network, leg.arrival, line)
    return Ride(leg, line, departure, arrival, boards, alights)


def is_correct_route(rides: Iterable[Ride], origin: NamedStop, destination: NamedStop) -> bool:
    """Judge a route by algorithm 1 of ReasonMap.

    Rides are asked for one by one and none after the first fault, so that the legs of a long wrong
    route need not be looked up.
    """
    here, rode = origin, False
    for ride in rides:
        if not ride.is_real or not same_stop(here, ride.departure):
            return False
        here, rode = ride.arrival, True
    return rode and same_stop(here, destination)
