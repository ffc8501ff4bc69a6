"""Settings of the reward: defaults, messages that name the key, and what the checks forbid."""

from __future__ import annotations

from typing import Any

import pytest

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.rewards.config import RewardConfig, load_reward_config
from rewardmap_verl.rewards.difficulty import difficulty_weight
from rewardmap_verl.rewards.score import GroundTruth, bounds


def question(kind: QuestionType, transfers: int = 0, level: str = "easy") -> GroundTruth:
    return GroundTruth.from_row(
        {
            "type": kind.value,
            "country": "land",
            "city": "town",
            "station_1": "A",
            "station_2": "B",
            "answer": 1,
            "question_transfer_count": transfers,
            "difficulty_city": level,
        }
    )


def test_the_defaults_are_the_papers_numbers() -> None:
    config = RewardConfig()
    assert config.alpha == 0.5
    assert config.correctness == config.detail_cap == 10.0
    weights = config.map_weights
    assert (weights.easy, weights.middle, weights.hard) == (1.0, 1.2, 1.5)
    assert (config.question_weights.direct, config.question_weights.transfers) == (0.0, 0.5)
    assert load_reward_config(None) == load_reward_config({}) == config


@pytest.mark.parametrize(
    ("kind", "transfers", "level", "weight"),
    [
        (QuestionType.TORF1, 0, "easy", 1.0),
        (QuestionType.COUNTING1, 0, "hard", 1.5),
        (QuestionType.COUNTING3, 3, "middle", 1.2),  # only routes have transfers
        (QuestionType.PLANNING, 0, "medium", 1.2),
        (QuestionType.PLANNING, 1, "easy", 1.5),
        (QuestionType.PLANNING, 4, "hard", 2.0),
    ],
)
def test_weights(kind: QuestionType, transfers: int, level: str, weight: float) -> None:
    truth = question(kind, transfers, level)
    assert difficulty_weight(truth, RewardConfig()) == pytest.approx(weight)
    assert difficulty_weight(truth, RewardConfig(use_difficulty=False)) == 1.0


def test_bounds_follow_the_switches() -> None:
    truth = question(QuestionType.PLANNING, 1, "hard")
    assert bounds(truth, RewardConfig()) == (0.0, 32.0)
    assert bounds(truth, RewardConfig(use_detail=False)) == (0.0, 22.0)
    assert bounds(truth, RewardConfig(use_format=False)) == (0.0, 30.0)
    assert bounds(truth, RewardConfig(use_difficulty=False)) == (0.0, 16.0)
    assert bounds(question(QuestionType.TORF1), RewardConfig()) == (0.0, 11.0)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"alpha": -0.1}, "reward.rewardmap.alpha"),
        ({"alpha": "0.5"}, "reward.rewardmap.alpha"),
        ({"alpha": True}, "reward.rewardmap.alpha"),
        ({"alpha": float("nan")}, "reward.rewardmap.alpha"),
        ({"alpha": float("inf")}, "reward.rewardmap.alpha"),
        ({"alpha": None}, "reward.rewardmap.alpha"),
        ({"alpha": 3}, "reward.rewardmap.alpha"),  # a wrong answer could outscore a right one
        ({"correctness": 0}, "reward.rewardmap.correctness"),
        ({"format": 10}, "reward.rewardmap.alpha"),
        ({"format_floor": 0}, "reward.rewardmap.format_floor"),
        ({"detail_floor": -1}, "reward.rewardmap.detail_floor"),
        ({"detail_floor": 8}, "reward.rewardmap.detail_floor"),
        ({"wrong_share": 1}, "reward.rewardmap.wrong_share"),
        ({"items": {"surplus_leg": 0}}, "reward.rewardmap.items.surplus_leg"),
        ({"items": {"lines": 3}}, "reward.rewardmap.items.lines"),
        ({"items": 3}, "reward.rewardmap.items"),
        ({"map_weights": {"easy": 0}}, "reward.rewardmap.map_weights.easy"),
        ({"map_weights": {"simple": 1}}, "reward.rewardmap.map_weights.simple"),
        ({"question_weights": {"direct": -1}}, "reward.rewardmap.question_weights.direct"),
        ({"max_legs": 2.5}, "reward.rewardmap.max_legs"),
        ({"use_detail": "no"}, "reward.rewardmap.use_detail"),
        ({"alfa": 1}, "reward.rewardmap.alfa"),
    ],
)
def test_a_fault_names_the_key(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_reward_config(settings)
    assert str(caught.value).split(": ")[0].split(". ")[0] == key


def test_a_fault_says_what_was_found_and_how_to_mend_it() -> None:
    with pytest.raises(ConfigError, match=r"found -1.*greater than or equal to 0"):
        load_reward_config({"alpha": -1})
    with pytest.raises(ConfigError, match=r"wrong answer could earn 25 .* as 10\. Lower alpha"):
        load_reward_config({"alpha": 3})


def test_paper_ablations_are_allowed() -> None:
    for alpha in (0.3, 0.5, 0.7, 1.0):
        assert load_reward_config({"alpha": alpha}).alpha == alpha
    assert load_reward_config({"alpha": 50, "use_detail": False}).detail_weight == 0.0


def test_both_words_for_the_middle_level_are_keys() -> None:
    assert load_reward_config({"map_weights": {"medium": 2}}).map_weights.middle == 2.0
    assert load_reward_config({"map_weights": {"middle": 2}}).map_weights.middle == 2.0
