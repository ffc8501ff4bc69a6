"""Rollouts become groups, and groups become the metrics of a step."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import verl  # noqa: F401  first: its plugins are loaded at its end
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from rewardmap_verl.curriculum.groups import Group, group_metrics, metrics_by_type
from rewardmap_verl.curriculum.metrics import final_keys, make_groups, training_metrics


def make_group(
    scores: list[float],
    stage: str = "counting",
    kind: str = "Counting2",
    slot: int = 0,
    repeat: bool = False,
    **more: tuple[float | None, ...],
) -> Group:
    acc = tuple(float(score >= 10) for score in scores)
    return Group(stage, kind, slot, slot, 0, repeat, {"score": tuple(scores), "acc": acc, **more})


def test_means_are_over_answers() -> None:
    groups = [make_group([0.0, 10.0]), make_group([11.0, 11.0])]
    result = group_metrics(groups)
    assert result["score"] == 8.0 and result["acc"] == 0.75
    assert result["groups"] == 2 and result["rollouts"] == 4


def test_signal_with_our_reward_and_with_correctness_alone() -> None:
    groups = [
        make_group([0.0, 0.0]),  # no signal either way
        make_group([1.0, 3.0]),  # detail tells them apart, correctness does not
        make_group([1.0, 11.0]),
        make_group([11.0, 11.0 + 1e-9]),  # a rounding error is no signal
    ]
    result = group_metrics(groups)
    assert result["no_signal"] == 0.5 and result["no_signal_binary"] == 0.75


def test_scores_without_a_value_are_excluded() -> None:
    groups = [
        make_group([1.0, 1.0], leg_surplus=(None, None), readable=(1.0, 0.0)),
        make_group([1.0, 1.0], leg_surplus=(2.0, None), readable=(1.0, 1.0)),
    ]
    result = group_metrics(groups)
    assert result["leg_surplus"] == 2.0 and result["leg_surplus_max"] == 2.0
    assert result["unreadable"] == 0.25
    assert "leg_surplus_max" not in group_metrics(groups[:1])


def test_every_type_and_all_of_a_stage() -> None:
    groups = [
        make_group([1.0], kind="Counting3", slot=5),
        make_group([3.0], kind="Counting2", slot=4),
        make_group([9.0], stage="judgment", kind="TorF1", slot=0),
    ]
    found = [(stage, kind, values["score"]) for stage, kind, values in metrics_by_type(groups)]
    assert found == [
        ("judgment", "TorF1", 9.0),
        ("counting", "Counting2", 3.0),
        ("counting", "Counting3", 1.0),
        ("counting", "all", 2.0),
    ]


def test_metrics_are_finite_and_exclude_repeats() -> None:
    groups = [make_group([1.0, 1.0], slot=8), make_group([9.0, 9.0], slot=9, repeat=True)]
    metrics = training_metrics(groups)
    assert metrics["rewardmap/counting/Counting2/score"] == 1.0
    assert metrics["rewardmap/repeats"] == 1.0 and metrics["rewardmap/slot"] == 8.0
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_no_groups_give_no_metrics() -> None:
    assert training_metrics([]) == {"rewardmap/repeats": 0.0}
    assert group_metrics([]) == {"groups": 0.0, "rollouts": 0.0}


def test_only_the_last_output_of_a_rollout_counts_and_no_padding() -> None:
    keys = ["a_0_0", "a_0_1", "a_1_0", "pad_0_0", "b_0_10", "b_0_9"]
    tags: list[dict[str, Any]] = [{}, {}, {}, {"is_padding": True}, {}, {}]
    assert final_keys(keys, tags) == ["a_0_1", "a_1_0", "b_0_10"]


@pytest.fixture
def stored() -> Any:
    """Rollouts in the container type of verl's transfer queue."""
    rows = [
        {
            "prompts": torch.arange(2 + slot),
            "extra_info": {
                "stage": "counting",
                "type": "Counting2",
                "row": 7 - slot,
                "slot": slot,
                "stage_epoch": 0,
                "repeat": False,
            },
            "extra_fields": {
                "reward_extra_info": {"score": float(rollout), "acc": 0.0, "leg_surplus": None}
            },
        }
        for slot in (1, 0)
        for rollout in (0, 1)
    ]
    return list_of_dict_to_tensordict(rows)


def test_groups_from_stored_rollouts(stored: Any) -> None:
    from rewardmap_verl.verl_plugin.sampled_answers import plain_values

    keys = ["b_0_0", "b_1_0", "a_0_0", "a_1_0"]
    groups = make_groups(
        keys, plain_values(stored["extra_info"]), plain_values(stored["extra_fields"])
    )
    assert [(group.slot, group.row) for group in groups] == [(0, 7), (1, 6)]
    assert groups[0].scores == {"score": (0.0, 1.0), "acc": (0.0, 0.0), "leg_surplus": (None, None)}


def test_rollouts_without_scores_are_still_a_group() -> None:
    groups = make_groups(["a_0_0"], [{"type": "TorF1"}], [{}])
    assert groups[0].scores == {} and training_metrics(groups)["rewardmap/none/TorF1/groups"] == 1.0


def test_settings_of_the_sampler_are_checked() -> None:
    from rewardmap_verl.errors import ConfigError
    from rewardmap_verl.verl_plugin.replay_buffer import RewardMapReplayBuffer

    arguments = {
        "trainer_mode": "sync",
        "trainer_config": {},
        "max_off_policy_threshold": 8,
        "max_off_policy_strategy": "drop",
    }
    buffer = RewardMapReplayBuffer(**arguments, sampler_kwargs={"poll_interval": 0.1})
    assert buffer.poll_interval == 0.1
    assert RewardMapReplayBuffer(**arguments, sampler_kwargs={}).poll_interval == 2.0
    with pytest.raises(ConfigError, match=r"sampler_kwargs\.pol_interval.*poll_interval"):
        RewardMapReplayBuffer(**arguments, sampler_kwargs={"pol_interval": 0.1})
