r"""Score one answer. The reward is at least 0 and at most the upper value of ``bounds``.

>>> score_answer("\\boxed{yes}", truth, None, RewardConfig()).score   # TorF1 on an easy map
11.0
"""

from __future__ import annotations

from itertools import chain

from rewardmap_verl.errors import DataError
from rewardmap_verl.rewards.config import RewardConfig, load_reward_config
from rewardmap_verl.rewards.correctness import is_correct_route, resolve_leg
from rewardmap_verl.rewards.detail import RouteDetail, required_trip, route_detail
from rewardmap_verl.rewards.difficulty import difficulty_weight
from rewardmap_verl.rewards.formatting import route_form, short_form
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.rewards.parts import Judgment, Score, combine
from rewardmap_verl.rewards.routes import read_route
from rewardmap_verl.rewards.short_answer import read_short_answer
from rewardmap_verl.transit.network import Network

__all__ = [
    "ROUTE_METRICS",
    "GroundTruth",
    "RewardConfig",
    "Score",
    "bounds",
    "check_against_network",
    "judge",
    "load_reward_config",
    "score_answer",
]

ROUTE_METRICS = ("legs", "leg_surplus", "origin", "destination", "lines", "transfers")
"""Additional metrics of a route: its legs, its surplus legs, and the share of each item's worth
that it earned, 0 to 1. ``None`` if not applicable: for other types, for the transfers of a direct
trip, and for an unreadable route."""


def judge(
    response: object, truth: GroundTruth, network: Network | None, config: RewardConfig
) -> Judgment:
    """Read and judge an answer, without combining the parts."""
    if truth.is_planning:
        return _judge_route(response, truth, network, config)
    answer = read_short_answer(response, truth.type, config.max_characters, truth.options)
    return Judgment(
        readable=answer.value is not None,
        correct=answer.value == truth.answer,
        form=short_form(answer, config),
        detail=None,
        weight=difficulty_weight(truth, config),
        metrics=dict.fromkeys(ROUTE_METRICS),
    )


def _judge_route(
    response: object, truth: GroundTruth, network: Network | None, config: RewardConfig
) -> Judgment:
    if network is None:
        raise DataError(
            truth.place(), "network", truth.city, "A planning question needs the city's network."
        )
    answer = read_route(response, truth.form, config.max_characters, config.max_legs)
    weight = difficulty_weight(truth, config)
    if not answer.legs:
        nothing = {**dict.fromkeys(ROUTE_METRICS), "legs": 0.0}
        return Judgment(False, False, 0.0, 0.0, weight, nothing)
    trip = required_trip(truth, network)
    rides = [resolve_leg(network, leg) for leg in answer.legs[: trip.allowed]]
    further = (resolve_leg(network, leg) for leg in answer.legs[trip.allowed :])
    right = is_correct_route(chain(rides, further), trip.origin, trip.destination)
    detail = route_detail(rides, len(answer.legs), right, trip, config)
    metrics = _facts(detail, len(answer.legs))
    return Judgment(True, right, route_form(answer, config), detail.value, weight, metrics)


def _facts(detail: RouteDetail, legs: int) -> dict[str, float | None]:
    shares = (item.credit / item.worth if item.worth else None for item in detail.items[:4])
    return dict(zip(ROUTE_METRICS, (float(legs), float(detail.surplus), *shares), strict=True))


def score_answer(
    response: object, truth: GroundTruth, network: Network | None, config: RewardConfig
) -> Score:
    """Score one answer of a model.

    Args:
        response: The model's response. No value raises an error: unreadable text and values that
            are not strings score 0.
        truth: Ground truth, validated when the data was loaded.
        network: Network of the question's city; required for planning only.
        config: Settings of the reward.

    Raises:
        DataError: A planning question has no network.
    """
    return combine(judge(response, truth, network, config), config)


def bounds(truth: GroundTruth, config: RewardConfig) -> tuple[float, float]:
    """Return the minimum and maximum reward of a question. A perfect answer earns the maximum."""
    detail = config.detail_weight * config.detail_cap if truth.is_planning else 0.0
    highest = config.format_value + config.correctness + detail
    return 0.0, difficulty_weight(truth, config) * highest
