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

__all__ = ["Place", "Ride", "find_place", "look_up", "route_is_right", "same_place"]

LONGEST_NAME: Final = 160
"""Characters of a name; the longest of the 30 networks has 60. A longer text names nothing."""


@dataclass(frozen=True, slots=True)
class Place:
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
    departure: Place
    arrival: Place
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
        return same_place(self.departure, self.arrival)


def same_place(one: Place, other: Place) -> bool:
    """Say whether two names mean one stop, or are spellings of one name."""
    if not one.namesakes or not other.namesakes:
        return one.text.casefold() == other.text.casefold()
    return one.namesakes == other.namesakes or not set(one.stops).isdisjoint(other.stops)


def find_place(network: Network, text: str) -> Place:
    """Look a name up in the whole network."""
    stops = network.find_indexes(text) if len(text) <= LONGEST_NAME else ()
    return Place(text, stops, stops)


def _place_on(network: Network, text: str, line: Line | None) -> tuple[Place, bool]:
    """Look a name up, on a line if it is there, and say whether it is."""
    place = find_place(network, text)
    if line is None:
        return place, False
    served = network.stops_of(line)
    if served.issuperset(place.stops):
        return place, bool(place.stops)
    there = tuple(stop for stop in place.stops if stop in served)
    return (Place(text, there, place.namesakes), True) if there else (place, False)


def look_up(network: Network, leg: LegText) -> Ride:
    """Look the line and the stops of a leg up."""
    line = network.find_line(leg.line) if len(leg.line) <= LONGEST_NAME else None
    departure, boards = _place_on(network, leg.departure, line)
    arrival, alights = _place_on(network, leg.arrival, line)
    return Ride(leg, line, departure, arrival, boards, alights)


def route_is_right(rides: Iterable[Ride], origin: Place, destination: Place) -> bool:
    """Judge a route by algorithm 1 of ReasonMap.

    Rides are asked for one by one and none after the first fault, so that the legs of a long wrong
    route need not be looked up.
    """
    here, rode = origin, False
    for ride in rides:
        if not ride.is_real or not same_place(here, ride.departure):
            return False
        here, rode = ride.arrival, True
    return rode and same_place(here, destination)
