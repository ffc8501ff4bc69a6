"""ReasonMap's map score (algorithm 2): partial credit of a route against reference routes.

Example: a correct answer to a short question with one reference route of one leg has 1 (ends) +
2 (line) + 2 (stops) = 5, plus 10 for correctness: 15 of 20. A long question adds credit for the
stops between, up to 40.

Source: ReasonMap, arXiv 2505.18675, appendix B. The released script differs from the paper;
``tests/evaluation/test_metric_agreement.py`` and docs/evaluation.md list where, and why this module
follows the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.line_names import reference_line
from rewardmap_verl.rewards.correctness import NamedStop, Ride, resolve_leg, resolve_stop, same_stop
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.names import normalize
from rewardmap_verl.transit.network import Line, Network

__all__ = ["PARTS", "MapScore", "ReferenceLeg", "highest", "map_score", "reference_plans"]

ENDS: Final = 1
LINE: Final = 2
STOP: Final = 1
VIA_COUNT: Final = 4
"""Maximum for the number of stops between, per leg."""
VIA_CAP: Final = 10
"""Maximum for the stops between, over all legs."""

_Stop = tuple[int, ...] | str
"""A stop between: its indices in the network, or the normalized name if it is unknown."""


@dataclass(frozen=True, slots=True)
class MapScore:
    """The map score of one answer and its parts, against the plan with the highest score."""

    total: float = 0.0
    """0 to 20 for short questions, 0 to 40 for long ones."""
    ends: float = 0.0
    """1 when the route leads from stop 1 to stop 2; otherwise every part is 0."""
    lines: float = 0.0
    """2 per leg on the plan's line."""
    stops: float = 0.0
    """1 per departure and 1 per arrival that matches the plan."""
    via_count: float = 0.0
    """0 to 10: agreement in the number of stops between."""
    via_names: float = 0.0
    """0 to 10: agreement in the names of the stops between."""
    bonus: float = 0.0
    """10 (short) or 20 (long) for a correct answer."""


PARTS: Final = tuple(field.name for field in fields(MapScore) if field.name != "total")


def highest(form: str) -> float:
    """Return the maximum map score of a question form: 20 or 40."""
    return 2.0 * _cap(form)


def _cap(form: str) -> float:
    return 20.0 if form.startswith("long") else 10.0


@dataclass(frozen=True, slots=True)
class ReferenceLeg:
    """One leg of a reference route, resolved in the network."""

    line: Line | None
    """``None`` when the network has no such line."""
    departure: NamedStop
    arrival: NamedStop
    via_count: int
    via: frozenset[_Stop]


def reference_plans(
    truth: GroundTruth, network: Network, where: str = ""
) -> tuple[tuple[ReferenceLeg, ...], ...]:
    """Resolve the reference routes of a question in its network.

    Raises:
        DataError: A leg has no line, departure or arrival, or its number of stops between is not a
            number.
    """
    place = truth.place(where)
    return tuple(tuple(_leg(leg, network, place) for leg in plan) for plan in truth.plans)


def _leg(leg: Mapping[str, Any], network: Network, where: str) -> ReferenceLeg:
    for name in ("route_name", "departure_stop", "arrival_stop"):
        if not isinstance(leg.get(name), str):
            raise DataError(where, f"plans.{name}", leg.get(name), "Each leg of a plan needs it.")
    line = reference_line(network, leg["route_name"])
    names = leg.get("via_stops")
    via = [str(name) for name in names] if isinstance(names, list | tuple) else []
    return ReferenceLeg(
        line,
        resolve_stop(network, leg["departure_stop"]),
        resolve_stop(network, leg["arrival_stop"]),
        _count(leg.get("num_via_stops"), len(via), where),
        frozenset(_stop(network, name, line) for name in via),
    )


def _count(value: object, named: int, where: str) -> int:
    """Read a number of stops; if it is missing, count the named stops."""
    if value is None:
        return named
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, int | float) and value >= 0 and value == int(value):
        return int(value)
    raise DataError(where, "plans.num_via_stops", value, "Give a whole number from 0.")


def _stop(network: Network, name: str, line: Line | None) -> _Stop:
    """Resolve the name of a stop between, on its line if the line serves it."""
    found = network.find_stops(name)
    on_line = tuple(s.index for s in found if line is not None and network.serves(line, s.index))
    return on_line or tuple(stop.index for stop in found) or normalize(name)


def _same(one: NamedStop, other: NamedStop) -> bool:
    """Compare stops; by name if the station list has neither (a map service's stops)."""
    return same_stop(one, other) or (
        not one.namesakes and not other.namesakes and normalize(one.text) == normalize(other.text)
    )


def _via_count(said: int | None, due: int) -> float:
    """Return the credit for a number of stops: 4, less the relative error."""
    if said is None:
        return 0.0
    if said == due:
        return float(VIA_COUNT)
    return max(0.0, VIA_COUNT * (1 - abs(said - due) / due)) if due else 0.0


def _via_names(
    said: Sequence[frozenset[_Stop]], plan: Sequence[ReferenceLeg], same_line: Sequence[bool]
) -> float:
    """Return the mean of two measures from 0 to 10.

    They are the number of correctly named stops, and the overlap (IoU) of all stops between on the
    legs whose line is correct.
    """
    named = sum(len(stops & leg.via) for stops, leg in zip(said, plan, strict=False))
    both: set[_Stop] = set()
    either: set[_Stop] = set()
    for stops, leg, same in zip(said, plan, same_line, strict=False):
        if same:
            both |= stops & leg.via
            either |= stops | leg.via
    overlap = len(both) / len(either) if either else 0.0
    return (VIA_CAP * overlap + min(VIA_CAP, named)) / 2


def _against(
    rides: Sequence[Ride], plan: Sequence[ReferenceLeg], network: Network, form: str, right: bool
) -> MapScore:
    """Compare a route with correct ends with one plan, leg by leg."""
    pairs = list(zip(rides, plan, strict=False))
    same_line = [r.line is not None and r.line == leg.line for r, leg in pairs]
    lines = LINE * sum(same_line)
    stops = STOP * sum(
        _same(ride.departure, leg.departure) + _same(ride.arrival, leg.arrival)
        for ride, leg in pairs
    )
    count = names = 0.0
    if form == "long_count":
        credits = (_via_count(ride.leg.via_count, leg.via_count) for ride, leg in pairs)
        count = min(float(VIA_CAP), sum(credits))
    elif form == "long_via":
        said = [
            frozenset(_stop(network, name, ride.line) for name in ride.leg.via_names or ())
            for ride in rides
        ]
        names = _via_names(said, plan, same_line)
    bonus = _cap(form) if right else 0.0
    total = min(_cap(form), ENDS + lines + stops + count + names) + bonus
    return MapScore(total, float(ENDS), float(lines), float(stops), count, names, bonus)


def map_score(
    legs: Sequence[LegText],
    right: bool,
    truth: GroundTruth,
    network: Network,
    plans: Sequence[Sequence[ReferenceLeg]],
) -> MapScore:
    """Return the map score of a route: the maximum over the reference plans.

    Args:
        legs: The route, as read.
        right: Whether it is correct by algorithm 1.
        truth: The ground truth; its form decides what is compared.
        network: Network of the city.
        plans: The result of ``reference_plans``; the score is 0 without a plan.
    """
    if not legs or not plans:
        return MapScore()
    rides = [resolve_leg(network, leg) for leg in legs]
    origin, destination = (
        resolve_stop(network, truth.station_1),
        resolve_stop(network, truth.station_2),
    )
    if not _same(rides[0].departure, origin) or not _same(rides[-1].arrival, destination):
        return MapScore()
    scores = [_against(rides, plan, network, truth.form, right) for plan in plans]
    return max(reversed(scores), key=lambda score: score.total)
