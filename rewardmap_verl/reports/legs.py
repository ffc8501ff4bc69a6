"""Routes for the page: of the gold answer and of a model's answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rewardmap_verl.drawing.line_geometry import LineGeometry, Point, stops_of_ride
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.correctness import Ride, resolve_leg
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.routes import LegText, read_route
from rewardmap_verl.transit.network import Line, Network

__all__ = ["DrawnLeg", "answer_legs", "gold_legs"]

_MOST_DRAWN = 30
"""Maximum legs of an answer that are drawn; no network has a longer route."""


@dataclass(frozen=True, slots=True)
class DrawnLeg:
    """One leg of a route."""

    line: str
    """The line's name in the network, or the answer's text for an unknown line."""
    color: str
    """``#rrggbb``; "" if unknown."""
    departure: str
    arrival: str
    real: bool
    """Whether the line exists and serves both stops."""
    via: int | None
    """Number of stops between."""
    points: tuple[Point, ...]
    """The course on the picture; empty if unknown."""


def gold_legs(
    truth: GroundTruth, network: Network, geometry: LineGeometry | None
) -> list[DrawnLeg]:
    """Return the first reference route; empty without one, as for other question types."""
    texts = [_leg_text(leg) for leg in (truth.plans[0] if truth.plans else ())]
    return [_drawn(resolve_leg(network, leg), geometry) for leg in texts]


def answer_legs(
    response: object,
    truth: GroundTruth,
    network: Network,
    geometry: LineGeometry | None,
    config: RewardConfig,
) -> list[DrawnLeg]:
    """Return the parsed route of a planning answer; empty for other question types."""
    if not truth.is_planning:
        return []
    read = read_route(response, truth.form, config.max_characters, config.max_legs)
    return [_drawn(resolve_leg(network, leg), geometry) for leg in read.legs[:_MOST_DRAWN]]


def _leg_text(leg: dict[str, Any]) -> LegText:
    return LegText(
        str(leg.get("route_name", "")),
        str(leg.get("departure_stop", "")),
        str(leg.get("arrival_stop", "")),
    )


def _drawn(ride: Ride, geometry: LineGeometry | None) -> DrawnLeg:
    ends = next(iter(_ends(ride)), None)
    stops: Sequence[int] = ()
    points: tuple[Point, ...] = ()
    if ends is not None and ride.line is not None and ride.is_real:
        stops = stops_of_ride(ride.line, *ends)
    if ends is not None and geometry is not None:
        known = ride.line is not None and ride.is_real
        points = geometry.ride(ride.line, *ends) if known else geometry.straight(*ends)  # type: ignore[arg-type]
    return DrawnLeg(
        line=ride.line.name if ride.line else ride.leg.line,
        color=_color(ride.line, geometry),
        departure=ride.leg.departure,
        arrival=ride.leg.arrival,
        real=ride.is_real,
        via=max(0, len(stops) - 2) if stops else None,
        points=points,
    )


def _color(line: Line | None, geometry: LineGeometry | None) -> str:
    if line is None:
        return ""
    return geometry.color_of(line) if geometry else line.color or ""


def _ends(ride: Ride) -> Iterator[tuple[int, int]]:
    """Yield the pairs of stops that the two names may refer to."""
    for departure in ride.departure.stops or ride.departure.namesakes:
        for arrival in ride.arrival.stops or ride.arrival.namesakes:
            yield departure, arrival
