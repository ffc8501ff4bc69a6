"""How a question is answered step by step: which stops to look at, and what is read there.

The sentences follow from the network and the gold answer. They say where the lines run and which of
them stop at a place, and never where on the picture a place is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.perfect import perfect_legs
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner, stops_between

__all__ = ["Step", "reading_steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """One look at the map."""

    stops: tuple[int, ...]
    """Indexes of the stops that it has to show; empty if it needs no closer look."""
    aim: str
    """What the look is for; can be empty."""
    found: str
    """What the map shows there."""


def reading_steps(truth: GroundTruth, network: Network, planner: Planner) -> tuple[Step, ...]:
    """Return the steps to the gold answer of a question.

    Args:
        truth: Its ground truth.
        network: The network of its city.
        planner: The planner of ``network``.

    Returns:
        The steps; empty where the network does not explain the gold answer, which happens in
        published data, and where the annotation has another shape.
    """
    try:
        return tuple(_STEPS[truth.type](truth, network, planner))
    except (TypeError, ValueError):
        return ()


def _planning(truth: GroundTruth, network: Network, planner: Planner) -> Iterable[Step]:
    return _ride(perfect_legs(truth, network, planner), network)


def _transfers(truth: GroundTruth, network: Network, planner: Planner) -> Iterable[Step]:
    trip = replace(truth, type=QuestionType.PLANNING, question_transfer_count=truth.answer)
    legs = perfect_legs(trip, network, planner)
    if len(legs) - 1 != truth.answer:
        return []
    return [*_ride(legs, network), Step((), "", f"Number of changes: {truth.answer}.")]


def _ride(legs: tuple[LegText, ...], network: Network) -> list[Step]:
    """Return the steps of a route: its start, and the end of each leg."""
    start = legs[0].departure
    steps = [_visit(start, network, f"The trip starts at {start}.", legs[0].line)]
    for leg, following in zip(legs, [*legs[1:], None], strict=True):
        via = f" via {', '.join(leg.via_names)}" if leg.via_names else ""
        aim = f"{leg.line} runs from {leg.departure}{via} to {leg.arrival}."
        end = f"Change to {following.line} there." if following else "The trip ends there."
        visit = _visit(leg.arrival, network, aim, leg.line)
        steps.append(Step(visit.stops, aim, f"{visit.found} {end}"))
    return steps


def _visit(name: str, network: Network, aim: str = "", line: str = "") -> Step:
    """Return a look at one stop.

    Args:
        name: Its name.
        network: The network.
        aim: What the look is for; by default, to find the stop.
        line: A line that stops there, which decides between stops of one name.
    """
    rides = network.find_line(line) if line else None
    stops = network.find_stops_on(name, rides) if rides else network.find_stops(name)
    indexes = tuple(stop.index for stop in stops)
    found = f"{name} is on {', '.join(network.lines_at(indexes))}."
    return Step(indexes, aim or f"I look for {name}.", found)


def _both(truth: GroundTruth, network: Network, _: Planner) -> Iterable[Step]:
    names = (truth.station_1, truth.station_2)
    first, second = (_visit(name, network) for name in names)
    lines = (set(network.lines_at(first.stops)), network.lines_at(second.stops))
    shared = [name for name in lines[1] if name in lines[0]]
    if truth.type is QuestionType.TORF1 and bool(shared) != bool(truth.answer):
        return []
    end = f"Both are on {', '.join(shared)}." if shared else "No line stops at both."
    return [first, Step(second.stops, second.aim, f"{second.found} {end}")]


def _one(truth: GroundTruth, network: Network, _: Planner) -> Iterable[Step]:
    visit = _visit(truth.station_1, network)
    lines = network.lines_at(visit.stops)
    if truth.type is QuestionType.COUNTING2:
        right, end = len(lines) == truth.answer, f"Number of lines: {len(lines)}."
    else:
        line = network.find_line(truth.line)
        stops = line is not None and line.name in lines
        right, end = (
            stops == bool(truth.answer),
            f"{truth.line} {'stops' if stops else 'does not stop'} there.",
        )
    return [Step(visit.stops, visit.aim, f"{visit.found} {end}")] if right else []


def _between(truth: GroundTruth, network: Network, _: Planner) -> Iterable[Step]:
    first, second = truth.station_1, truth.station_2
    for line in network.lines:
        ends = (network.find_stop_on(first, line), network.find_stop_on(second, line))
        if ends[0] is None or ends[1] is None:
            continue
        stops = stops_between(line, ends[0].index, ends[1].index)
        if stops is not None and truth.options[truth.answer : truth.answer + 1] == (len(stops),):
            names = ", ".join(network.stops[i].name for i in stops)
            found = f"Between them {line.name} stops at {names}. Number of stops: {len(stops)}."
            aim = f"{line.name} runs from {first} to {second}."
            return [Step((ends[0].index, *stops, ends[1].index), aim, found)]
    return []


def _lines(truth: GroundTruth, network: Network, _: Planner) -> Iterable[Step]:
    names = [line.name for line in network.lines]
    found = f"The map shows {', '.join(names)}. Number of lines: {len(names)}."
    return [Step((), "", found)] if len(names) == truth.answer else []


def _next(truth: GroundTruth, network: Network, _: Planner) -> Iterable[Step]:
    options = truth.options[truth.answer : truth.answer + 1]
    line = network.find_line(truth.line)
    if not options or line is None:
        return []
    names = (truth.station_1, str(options[0]))
    stops = tuple(stop.index for name in names for stop in network.find_stops_on(name, line))
    found = f"Towards {truth.station_2}, {line.name} stops at {names[1]} after {names[0]}."
    return [Step(stops, f"I look for {names[0]}.", found)]


def _legs(truth: GroundTruth, network: Network, _: Planner) -> Iterable[Step]:
    steps = []
    for name, departure, arrival in truth.annotation.get("legs", ()):
        line = network.find_line(name)
        ends = [network.find_stops_on(stop, line) if line else () for stop in (departure, arrival)]
        rides = bool(ends[0]) and bool(ends[1])
        stops = tuple(s.index for stop in (departure, arrival) for s in network.find_stops(stop))
        pair = f"{departure} and {arrival}"
        found = f"{name} {'stops' if rides else 'does not stop'} at both {pair}."
        steps.append((rides, Step(stops, f"I look for {pair}.", found)))
    right = bool(steps) and all(rides for rides, _ in steps) == bool(truth.answer)
    return [step for _, step in steps] if right else []


_STEPS: Final[Mapping[QuestionType, Callable[[GroundTruth, Network, Planner], Iterable[Step]]]] = (
    MappingProxyType(
        {
            QuestionType.TORF1: _both,
            QuestionType.TORF2: _one,
            QuestionType.COUNTING1: _between,
            QuestionType.COUNTING2: _one,
            QuestionType.COUNTING3: _lines,
            QuestionType.PLANNING: _planning,
            QuestionType.TRANSFERS: _transfers,
            QuestionType.NEXT_STOP: _next,
            QuestionType.JOINING_LINE: _both,
            QuestionType.VALID_ROUTE: _legs,
        }
    )
)
