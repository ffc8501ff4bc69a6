"""Adversarial answers: reward hacks, and gold answers with one fault injected.

Used by ``rewardmap audit`` and the tests. Every function depends only on its arguments; random
choices use the given ``random.Random``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from rewardmap_verl.questions.types import Reading
from rewardmap_verl.questions.wording import boxed
from rewardmap_verl.rewards.detail import Trip
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.marks import THINKING_MARKS
from rewardmap_verl.rewards.perfect import write_route
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.transit.network import Line, Network

__all__ = [
    "Legs",
    "faulty_routes",
    "hedged_routes",
    "padded_routes",
    "short_answers",
    "wrong_routes",
]

Legs = tuple[LegText, ...]

_NOWHERE = "Nowhere Station"
_NO_LINE = "Line 0 Express"


def _lines_at(network: Network, text: str) -> list[Line]:
    return [line for line in network.lines if network.find_stops_on(text, line)]


def _ride_from(network: Network, text: str, rng: random.Random) -> LegText | None:
    """Return a real ride from a stop to another stop of one of its lines."""
    lines = _lines_at(network, text)
    if not lines:
        return None
    line = rng.choice(lines)
    here = {stop.index for stop in network.find_stops(text)}
    others = [stop for stop in line.stops if stop not in here]
    return LegText(line.name, text, network.stops[rng.choice(others)].name) if others else None


def padded_routes(legs: Legs, network: Network, rng: random.Random) -> Iterator[tuple[str, Legs]]:
    """Yield (name, route) pairs of a padded route, none of which may score above the original."""
    ends = [legs[0].departure, *(leg.arrival for leg in legs)]
    at = rng.randrange(len(ends))
    lines = _lines_at(network, ends[at]) or list(network.lines)
    stay = LegText(rng.choice(lines).name, ends[at], ends[at])
    yield "self-loop", (*legs[:at], stay, *legs[at:])
    yield "self-loops", (*legs[:at], stay, stay, stay, *legs[at:])
    out = _ride_from(network, ends[at], rng)
    if out is not None:
        back = LegText(out.line, out.arrival, out.departure)
        yield "back and forth", (*legs[:at], out, back, *legs[at:])
    yield "repeated route", legs + legs
    yield "repeated leg", (*legs[:1], *legs)
    yield (
        "there and back again",
        legs + tuple(LegText(leg.line, leg.arrival, leg.departure) for leg in reversed(legs)),
    )


def faulty_routes(
    legs: Legs, network: Network, trip: Trip, rng: random.Random
) -> Iterator[tuple[str, Legs]]:
    """Yield (name, route) pairs with one fault each: a line, departure or arrival is replaced.

    The replacement is not on any route within the allowed number of legs.
    """
    number = rng.randrange(len(legs))
    leg = legs[number]
    broken = {
        "line": replace(leg, line=_other_line(network, leg, rng)),
        "departure": replace(leg, departure=_far_stop(network, trip, leg.line, rng)),
        "arrival": replace(leg, arrival=_far_stop(network, trip, leg.line, rng)),
    }
    for field, put in broken.items():
        yield f"{field} {number + 1}", (*legs[:number], put, *legs[number + 1 :])


def _other_line(network: Network, leg: LegText, rng: random.Random) -> str:
    """Return a line that does not serve both stops of a leg."""
    serving = {line.name for line in _lines_at(network, leg.departure)}
    serving &= {line.name for line in _lines_at(network, leg.arrival)}
    others = [line.name for line in network.lines if line.name not in serving]
    return rng.choice([*others, _NO_LINE])


def _far_stop(network: Network, trip: Trip, line: str, rng: random.Random) -> str:
    """Return a stop that is on no route within the allowed legs, preferably a stop of ``line``."""

    def is_far(index: int) -> bool:
        namesakes = [stop.index for stop in network.find_stops(network.stops[index].name)]
        return not trip.suffices(trip.legs_done(namesakes), trip.legs_left(namesakes))

    found = network.find_line(line)
    near = [stop for stop in found.stops if is_far(stop)] if found else []
    far = near or [stop.index for stop in network.stops if is_far(stop.index)]
    return network.stops[rng.choice(far)].name if far else _NOWHERE


def wrong_routes(
    legs: Legs, network: Network, trip: Trip, rng: random.Random
) -> Iterator[tuple[str, Legs]]:
    """Yield (name, route) pairs of candidate wrong answers; ``legs`` is a perfect answer.

    Some of them are correct in some networks, so the caller has to check with the reward.
    """
    start, goal = trip.origin.text, trip.destination.text
    first, last = legs[0], legs[-1]
    yield "one ride on the first line", (LegText(first.line, start, goal),)
    yield "one ride on the last line", (LegText(last.line, start, goal),)
    yield "one ride on an invented line", (LegText(_NO_LINE, start, goal),)
    stay = LegText(first.line, start, start)
    false = LegText(_other_line(network, LegText("", start, goal), rng), start, goal)
    yield "self-loops and a false ride", (*(stay,) * (trip.allowed - 1), false)
    yield "more self-loops and a false ride", (*(stay,) * trip.allowed, false)
    yield (
        "all lines from start to goal",
        tuple(LegText(line.name, start, goal) for line in network.lines[: trip.allowed + 2]),
    )
    yield "the legs in reverse", tuple(reversed(legs))
    yield "the way back", tuple(LegText(x.line, x.arrival, x.departure) for x in reversed(legs))
    yield "all but the last leg", legs[:-1] or (replace(last, arrival=_NOWHERE),)
    yield "all but the first leg", legs[1:] or (replace(first, departure=_NOWHERE),)
    yield "a false route and then the right one", (false, *legs)
    yield "the right route and then a false one", (*legs, false)
    for name, broken in faulty_routes(legs, network, trip, rng):
        yield f"wrong {name}", broken
        for padding, padded in padded_routes(broken, network, rng):
            yield f"wrong {name}, {padding}", padded


def hedged_routes(legs: Legs, wrong: Legs, form: str) -> Iterator[tuple[str, str]]:
    """Yield (name, text) pairs of answers that contain a correct route without giving it.

    Args:
        legs: The correct route.
        wrong: A wrong route.
        form: Form of the question.
    """
    right, false = write_route(legs, form), write_route(wrong, form)
    yield (
        "the right route as a draft, a false one as the final answer",
        (f"{right}\n\nFinal answer:\n{false}"),
    )
    yield "the right route before a false answer block", f"{right}\n<answer>\n{false}\n</answer>"
    yield "two routes with a word between", f"{false}\n\nor\n\n{right}"
    yield "two routes in one answer block", f"<answer>\n{right}\n--\n{false}\n</answer>"
    yield "a false route twice and the right one", f"{false}\n--\n{false}\n--\n{right}"
    for opening, closing in THINKING_MARKS:
        yield f"the right route in {opening}", f"{opening}{right}{closing}"
        yield (
            f"the right route in {opening}, a false one after it",
            (f"{opening}{right}{closing}{false}"),
        )
        yield f"the right route in an open {opening}", f"{opening}{right}"


def short_answers(truth: GroundTruth) -> Iterator[tuple[str, str]]:
    """Yield (name, text) pairs of wrong or hedging answers for any type except planning."""
    if truth.type.reading is Reading.YES_NO:
        values = ["no", "yes"]
    elif truth.type.reading is Reading.OPTION:
        values = list("ABCD")
    else:
        values = [str(max(0, truth.answer + step)) for step in range(-2, 3)]
    gold = values.index(str(truth.answer)) if values[0].isdigit() else truth.answer
    right, wrong = values[gold], next(v for v in values if v != values[gold])
    yield "another answer", boxed(wrong)
    yield (
        "another answer, well argued",
        f"It is {right}. I am sure that it is {right}. {boxed(wrong)}",
    )
    yield "all answers in one box", boxed(", ".join(values))
    yield "two answers in one box", boxed(f"{right} or {wrong}")
    yield "a range", boxed(f"{wrong}-{right}")
    yield "the right box first", f"{boxed(right)} {boxed(wrong)}"
    for opening, closing in THINKING_MARKS:
        yield f"the right box in {opening}", f"{opening}{boxed(right)}{closing}"
        yield f"the right box in an open {opening}", f"{opening}{boxed(right)}"
    yield "the right box before another answer block", f"{boxed(right)}<answer>{wrong}</answer>"
    yield "two answers in one answer block", f"<answer>{right} or {wrong}</answer>"
    yield "two answers in JSON", f'{{"answer": ["{right}", "{wrong}"]}}'
    yield "one answer a line", "\n".join((wrong, right))
    yield "all answers boxed", " ".join(boxed(v) for v in (*values, wrong))
    yield "an empty box", boxed("")
    yield "the word box", "\\boxed{ABCD}"
    yield "nothing", ""
