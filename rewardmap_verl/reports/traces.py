"""Trace a group for the page: question, gold answer, and the breakdown of every answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rewardmap_verl.drawing.line_geometry import LineGeometry, read_line_geometry, svg_points
from rewardmap_verl.drawing.schematic import Schematic, draw_schematic
from rewardmap_verl.errors import DataError
from rewardmap_verl.reports.legs import DrawnLeg, answer_legs, gold_legs
from rewardmap_verl.reports.prepared import PreparedData, PreparedMap
from rewardmap_verl.reports.rollouts import Rollout, RolloutGroup
from rewardmap_verl.reports.turns import turns_for_page
from rewardmap_verl.rewards.config import RewardConfig
from rewardmap_verl.rewards.explain import Check, Explanation, explain_answer
from rewardmap_verl.rewards.ground_truth import check_against_network
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.reader import read_network

__all__ = ["GroupTrace", "NetworkCache", "trace_group"]

_SHOWN_CHARACTERS = 6000
_SAME = 1e-3
"""Relative tolerance; verl stores rewards as 32-bit floats."""


@dataclass(slots=True)
class NetworkCache:
    """Networks and line geometry of the maps, each read once.

    A map without known positions has the geometry of its schematic.
    """

    questions: PreparedData
    _read: dict[tuple[str, str], tuple[Network, LineGeometry | None, Schematic | None]] = field(
        default_factory=dict
    )

    def map_of(self, group: RolloutGroup) -> PreparedMap | None:
        """Return the map of a question, if its data exist."""
        return self.questions.maps.get((group.truth.country, group.truth.city))

    def get(self, found: PreparedMap) -> tuple[Network, LineGeometry | None]:
        """Return a map's network and geometry.

        Raises:
            DataError: A file of the prepared data is broken.
        """
        network, geometry, _ = self._entry(found)
        return network, geometry

    def schematic(self, found: PreparedMap) -> Schematic | None:
        """Return the schematic of a map without positions; ``None`` for very large networks.

        Raises:
            DataError: A file of the prepared data is broken.
        """
        return self._entry(found)[2]

    def _entry(self, found: PreparedMap) -> tuple[Network, LineGeometry | None, Schematic | None]:
        key = (found.record.country, found.record.city)
        if key not in self._read:
            network = read_network(found.network)
            if found.positions:
                self._read[key] = network, read_line_geometry(found.positions, network), None
            else:
                drawn = draw_schematic(network)
                self._read[key] = network, drawn.geometry if drawn else None, drawn
        return self._read[key]


@dataclass(frozen=True, slots=True)
class GroupTrace:
    """A group, ready to be written."""

    detail: Mapping[str, Any]
    """The details that the page loads on demand."""
    rewards: tuple[float | None, ...]
    """Reward of each answer: the recorded one, else the recomputed one."""
    right: tuple[bool | None, ...]
    unreadable: int
    """Number of unreadable answers."""
    highest: float | None
    """The reward of a perfect answer."""
    differ: int
    """Number of answers whose recorded reward differs from the recomputed one."""


def trace_group(group: RolloutGroup, networks: NetworkCache, config: RewardConfig) -> GroupTrace:
    """Explain the answers of a group; equal answers are explained once."""
    found = networks.map_of(group)
    if found is None:
        return _untraced(group, "There are no prepared data of this map.")
    try:
        network, geometry = networks.get(found)
        check_against_network(group.truth, network)
    except DataError as error:
        return _untraced(group, str(error))
    unique = list(dict.fromkeys(_key(rollout) for rollout in group.rollouts))
    first = {_key(rollout): rollout for rollout in reversed(group.rollouts)}
    explained = [explain_answer(first[key].answer, group.truth, network, config) for key in unique]
    drawn = [
        answer_legs(first[key].answer, group.truth, network, geometry, config) for key in unique
    ]
    places = [unique.index(_key(rollout)) for rollout in group.rollouts]
    computed = [explained[place].score.score for place in places]
    text = networks.questions.texts.get(group.truth_text, "")
    detail = {
        "question": text if text and text in group.prompt else group.question,
        "gold": explained[0].perfect,
        "route": _legs(gold_legs(group.truth, network, geometry)),
        "marks": _marks(group, network, geometry),
        "highest": explained[0].highest,
        "answers": [
            {**_said(first[key].response), **_trace(trace), "route": _legs(legs)}
            for key, trace, legs in zip(unique, explained, drawn, strict=True)
        ],
        "order": places,
        "recorded": [rollout.score for rollout in group.rollouts],
    }
    return GroupTrace(
        detail=detail,
        rewards=tuple(
            now if rollout.score is None else rollout.score
            for rollout, now in zip(group.rollouts, computed, strict=True)
        ),
        right=tuple(bool(explained[place].score.acc) for place in places),
        unreadable=sum(not explained[place].score.readable for place in places),
        highest=explained[0].highest,
        differ=sum(
            rollout.score is not None and abs(rollout.score - now) > _SAME * max(1.0, now)
            for rollout, now in zip(group.rollouts, computed, strict=True)
        ),
    )


def _marks(group: RolloutGroup, network: Network, geometry: LineGeometry | None) -> list[list[Any]]:
    """Return the positions of the question's stops on the picture or schematic."""
    if geometry is None:
        return []
    names = dict.fromkeys((group.truth.station_1, group.truth.station_2))
    stops = dict.fromkeys(stop for name in names if name for stop in network.find_stops(name))
    return [[*geometry.stops[stop.index], stop.name] for stop in stops]


def _untraced(group: RolloutGroup, reason: str) -> GroupTrace:
    answers = [_said(rollout.response) for rollout in group.rollouts]
    detail = {
        "question": group.question,
        "gold": "",
        "route": [],
        "highest": None,
        "answers": answers,
        "order": list(range(len(answers))),
        "recorded": [rollout.score for rollout in group.rollouts],
        "fault": reason,
    }
    rewards = tuple(rollout.score for rollout in group.rollouts)
    return GroupTrace(detail, rewards, (None,) * len(rewards), 0, None, 0)


def _key(rollout: Rollout) -> tuple[bool, str]:
    is_text = isinstance(rollout.response, str)
    return is_text, rollout.response if is_text else repr(rollout.response)  # type: ignore[return-value]


def _said(response: object) -> dict[str, Any]:
    """Return the text of an answer, and its turns if there are several."""
    turns = turns_for_page(response)
    return {"text": _shown(response), **({"turns": turns} if turns else {})}


def _shown(response: object) -> str:
    text = response if isinstance(response, str) else repr(response)
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    half = _SHOWN_CHARACTERS // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n[… {left_out:,} characters omitted …]\n{text[-half:]}"


def _trace(found: Explanation) -> dict[str, Any]:
    score = found.score
    return {
        "score": _round(score.score),
        "right": bool(score.acc),
        "weight": _round(score.weight),
        "read": _checks(found.read),
        "checks": _checks(found.checks),
        "items": [
            [item.name, _round(item.credit), _round(item.worth), item.reason]
            for item in found.items
        ],
        "parts": [
            [part.name, _round(part.value), _round(part.highest), _round(part.times)]
            for part in found.parts
        ],
    }


def _checks(checks: Sequence[Check]) -> list[list[Any]]:
    return [[int(check.good), check.text] for check in checks]


def _legs(legs: Sequence[DrawnLeg]) -> list[list[Any]]:
    """Return rows for the page: line, color, departure, arrival, real, stops between, course."""
    return [
        [
            leg.line,
            leg.color,
            leg.departure,
            leg.arrival,
            int(leg.real),
            leg.via,
            svg_points(leg.points),
        ]
        for leg in legs
    ]


def _round(value: float) -> float:
    return round(value, 4)
