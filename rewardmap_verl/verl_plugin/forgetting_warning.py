"""Warn of forgotten question types in the log of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rewardmap_verl.curriculum.config import read_curriculum
from rewardmap_verl.curriculum.forgetting import Fall

__all__ = ["remedy", "warn_of_falls"]


def warn_of_falls(falls: Iterable[Fall], config: Any) -> None:
    """Write one line per fall to the standard error.

    Python's logging would not show it: importing vLLM's server sets the root logger to ERROR.

    Args:
        falls: Types that have fallen.
        config: The configuration of the run.
    """
    for fall in falls:
        sys.stderr.write(f"  warning: {fall}. {remedy(config)}\n")
    sys.stderr.flush()


def remedy(config: Any) -> str:
    """Return which settings reduce forgetting, with their values."""
    actor, replay = config.actor_rollout_ref.actor, read_curriculum(config.data).replay
    coefficient = actor.kl_loss_coef if actor.use_kl_loss else 0
    return (
        f"Raise data.curriculum.replay (now {replay:g}) or actor_rollout_ref.actor.kl_loss_coef "
        f"(now {coefficient:g}), or lower actor_rollout_ref.actor.optim.lr "
        f"(now {actor.optim.lr:g})."
    )
