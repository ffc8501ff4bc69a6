"""Values that several checks read from the configuration of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.curriculum.config import read_curriculum
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preflight.diagnostics import Diagnostic

__all__ = [
    "OUR_DATASET",
    "OUR_MANAGER",
    "Check",
    "divides_by_deviation",
    "gpu_count",
    "is_ours",
    "require_int",
    "rollout_counts",
    "select",
    "sequence_parallel_size",
]

Check = Callable[[DictConfig], Iterator[Diagnostic]]

OUR_MANAGER = "pkg://rewardmap_verl.verl_plugin.reward_manager"
OUR_DATASET = "pkg://rewardmap_verl.verl_plugin.dataset"


def select(config: DictConfig, key: str, default: Any = None) -> Any:
    """Return the value at a dotted key, or ``default`` if it is missing or null."""
    found = OmegaConf.select(config, key, default=None)
    return default if found is None else found


def require_int(config: DictConfig, key: str, default: int | None = None, minimum: int = 1) -> int:
    """Return the integer at a dotted key.

    Raises:
        ConfigError: It is missing, not an integer, or below ``minimum``.
    """
    found = select(config, key, default)
    if not isinstance(found, int) or isinstance(found, bool) or found < minimum:
        raise ConfigError(key, found=found, hint=f"Give an integer of at least {minimum}.")
    return found


def is_ours(config: DictConfig) -> bool:
    """Return whether the run reads its rows through our dataset class."""
    return bool(select(config, "data.custom_cls.path") == OUR_DATASET)


def sequence_parallel_size(config: DictConfig) -> int:
    """Return the number of GPUs that share one sequence (Ulysses)."""
    keys = ("ulysses_sequence_parallel_size", "fsdp_config.ulysses_sequence_parallel_size")
    return max(require_int(config, f"actor_rollout_ref.actor.{key}", 1) for key in keys)


def gpu_count(config: DictConfig) -> int:
    """Return the number of devices of the run over all nodes."""
    return require_int(config, "trainer.n_gpus_per_node") * require_int(config, "trainer.nnodes")


def rollout_counts(config: DictConfig) -> set[int]:
    """Return the rollouts per prompt of the run and of stages that set their own number."""
    usual = require_int(config, "actor_rollout_ref.rollout.n")
    if not is_ours(config):
        return {usual}
    return {stage.rollouts or usual for stage in read_curriculum(config.data).stages}


def divides_by_deviation(config: DictConfig) -> bool:
    """Return whether GRPO divides advantages by the standard deviation of their group."""
    return bool(select(config, "algorithm.norm_adv_by_std_in_grpo", True))
