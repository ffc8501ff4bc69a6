r"""The benchmark's own verdict: correctness as the released scoring scripts read an answer.

The reward reads answers in many formats. The released code of RewardMap and VLMEvalKit accept only
the exact format, keep thinking blocks, and count a route that is written twice as wrong. This
verdict reproduces that reading, so that accuracies can be compared with published ones. What is
correct is the same in both: equality for short answers, algorithm 1 of ReasonMap for routes.

``"\boxed{yes}"`` is read, ``"\boxed{\text{yes}}"`` is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rewardmap_verl.questions.types import Reading
from rewardmap_verl.rewards.correctness import is_correct_route, resolve_leg, resolve_stop
from rewardmap_verl.rewards.ground_truth import GroundTruth
from rewardmap_verl.rewards.routes import LegText
from rewardmap_verl.rewards.short_answer import last_box
from rewardmap_verl.transit.network import Network

__all__ = ["benchmark_verdict"]

_MAX_CHARACTERS: Final = 65_536
_MAX_STATEMENT: Final = 200
_SECTION: Final = re.compile(r"-{2,}")
_LINE: Final = re.compile(r"Route Name: ([^\n]*)\n")
_DEPARTURE: Final = re.compile(r"Departure Stop: ([^\n]*)\n")
_ARRIVAL: Final = "Arrival Stop:"
_FOREIGN: Final = frozenset('"`<>[]{}.。\u200b\n🚇')
"""Characters that the released code does not remove from a name."""

_REMARK: Final = re.compile(r"[(（][^()（）]*[)）]\s*\Z")
"""Brackets at the end of a name, which the released code removes."""

_STATEMENT: Final = re.compile(
    r"(final answer is:?|answer is|answer should be|answer =|total =|\A:)[ \t]{0,4}"
)
_IGNORED: Final = re.compile(
    r"\\(?:left|right|[,!%$;])|\^\\circ|[\s$]|(?:units|\\text\{km\}|km|m\^3)\Z"
)


def benchmark_verdict(response: object, truth: GroundTruth, network: Network | None) -> bool:
    """Return whether an answer is correct as the released scoring scripts read it.

    Args:
        response: The model's response. Values that are not strings are wrong.
        truth: Ground truth of the question.
        network: Network of the question's city; required for planning only.
    """
    if not isinstance(response, str):
        return False
    text = response[-_MAX_CHARACTERS:].replace("\r\n", "\n")
    if truth.is_planning:
        return network is not None and _is_correct_route(text, truth, network)
    return _short_value(text, truth.type.reading) == truth.answer


def _legs(text: str) -> Iterator[LegText]:
    """Yield the legs of sections with all three labels, spelled and ordered as requested."""
    for section in _SECTION.split(text):
        line, departure = _LINE.search(section), _DEPARTURE.search(section)
        before, label, arrival = section.rpartition(_ARRIVAL)
        if line and departure and label and departure.end() <= len(before):
            yield LegText(line.group(1).strip(), _name(departure.group(1)), _name(arrival))


def _name(text: str) -> str:
    return _REMARK.sub("", text.strip()).strip()


def _is_correct_route(text: str, truth: GroundTruth, network: Network) -> bool:
    legs = list(_legs(text))
    lines = {line.name for line in network.lines}
    exact = all(
        leg.line in lines and _FOREIGN.isdisjoint(leg.departure + leg.arrival) for leg in legs
    )
    origin = resolve_stop(network, truth.station_1)
    destination = resolve_stop(network, truth.station_2)
    rides = (resolve_leg(network, leg) for leg in legs)
    return exact and is_correct_route(rides, origin, destination)


def _short_value(text: str, reading: Reading) -> int | None:
    """Return the value of the last box, the last statement or the text; no other text with it."""
    box = last_box(text) if "oxed{" in text.lower() else None
    found = _stated(text) if box is None else box.content
    value = _IGNORED.sub("", re.split(r"=|\\approx", found)[-1]).rstrip(".").lstrip(":").lower()
    if reading is Reading.YES_NO:
        return {"yes": 1, "no": 0}.get(value)
    if reading is Reading.OPTION:
        return "abcd".index(value) if len(value) == 1 and value in "abcd" else None
    return int(value) if len(value) <= 9 and value.removeprefix("+").isdecimal() else None


def _stated(text: str) -> str:
    """Return what the last "final answer is", or else the last "answer is", states."""
    found = list(_STATEMENT.finditer(text))
    final = [match for match in found if match.group(1).startswith("final")]
    if not found:
        return text
    end = (final or found)[-1].end()
    return text[end : end + _MAX_STATEMENT].split("\n", 1)[0].split(". ", 1)[0]
