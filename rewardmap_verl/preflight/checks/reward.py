"""Checks of the reward, its difficulty weights and the advantage estimator."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.preflight.checks.values import (
    OUR_DATASET,
    OUR_MANAGER,
    divides_by_deviation,
    require_int,
    select,
)
from rewardmap_verl.preflight.diagnostics import Diagnostic
from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["check_estimator", "check_managers", "check_weights"]

_ROLLOUTS = "actor_rollout_ref.rollout.n"
_BROKEN_ESTIMATORS = {
    "remax": "reinforce_plus_plus, rloo or grpo",
    "gdpo": "grpo",
}


def check_estimator(config: DictConfig) -> Iterator[Diagnostic]:
    """Report advantage estimators that fail in verl 0.9.1 or cancel the difficulty weight."""
    key = "algorithm.adv_estimator"
    name = str(select(config, key, ""))
    if name in _BROKEN_ESTIMATORS and select(config, "trainer.use_v1", True):
        yield Diagnostic(
            key, f"It fails in verl 0.9.1's trainer. Use {_BROKEN_ESTIMATORS[name]}.", name
        )
    if name == "grpo_vectorized" and not divides_by_deviation(config):
        yield Diagnostic(
            key,
            "It ignores norm_adv_by_std_in_grpo=False and still divides by the deviation. "
            "Use grpo.",
            name,
        )
    if name.startswith(("grpo", "rloo")) and require_int(config, _ROLLOUTS) == 1:
        yield Diagnostic(_ROLLOUTS, f"A group of one has no signal for {name}. Use 8.", 1)


def check_weights(config: DictConfig) -> Iterator[Diagnostic]:
    """Warn if difficulty weights are on and the advantage cancels them."""
    settings = read_block(RewardConfig, select(config, "reward.rewardmap"), "reward.rewardmap")
    name = str(select(config, "algorithm.adv_estimator", ""))
    if name == "grpo" and divides_by_deviation(config) and weights_differ(settings):
        yield Diagnostic(
            "algorithm.norm_adv_by_std_in_grpo",
            "Difficulty weights are on, and dividing advantages by the deviation of their group "
            "cancels them. Set it to False, or reward.rewardmap.use_difficulty=False.",
            True,
            stops=False,
        )


def weights_differ(settings: RewardConfig) -> bool:
    """Return whether the reward gives questions different weights."""
    maps, questions = settings.map_weights, settings.question_weights
    values = {maps.easy, maps.middle, maps.hard}
    return settings.use_difficulty and (len(values) > 1 or questions.direct != questions.transfers)


def check_managers(config: DictConfig) -> Iterator[Diagnostic]:
    """Warn about our settings in a run without the classes that read them."""
    for key, ours, block in (
        ("reward.reward_manager.module.path", OUR_MANAGER, "reward.rewardmap"),
        ("data.custom_cls.path", OUR_DATASET, "data.curriculum"),
    ):
        found = select(config, key)
        if found != ours and select(config, block) is not None:
            yield Diagnostic(
                key, f"Only {ours} reads {block}, so it has no effect here.", found, stops=False
            )
