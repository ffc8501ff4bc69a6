"""Cross-field checks of a run's configuration, by topic.

Each check takes the composed configuration and yields diagnostics. Most cover behaviors of verl
0.9.1 that otherwise fail late, in the middle of a step, or never.
"""

from __future__ import annotations

from collections.abc import Mapping

from rewardmap_verl.preflight.checks.attention import check_attention
from rewardmap_verl.preflight.checks.batch import (
    check_batch,
    check_micro_batches,
    check_replicas,
    check_tokens,
)
from rewardmap_verl.preflight.checks.checkpoints import (
    check_disk,
    check_pickles,
    check_position,
    check_sft_pickles,
)
from rewardmap_verl.preflight.checks.cluster import (
    check_cluster,
    check_cores,
    check_device,
    check_nodes,
)
from rewardmap_verl.preflight.checks.curriculum import (
    check_curriculum,
    check_stages,
    check_trainer,
)
from rewardmap_verl.preflight.checks.data import (
    check_cities,
    check_columns,
    check_files,
    check_prompts,
)
from rewardmap_verl.preflight.checks.environment import check_allocator, check_visible_devices
from rewardmap_verl.preflight.checks.keys import check_ignored_keys, check_moved
from rewardmap_verl.preflight.checks.memory import (
    check_bucket,
    check_fused_kernels,
    check_memory,
)
from rewardmap_verl.preflight.checks.model import check_family, check_model
from rewardmap_verl.preflight.checks.reward import check_estimator, check_managers, check_weights
from rewardmap_verl.preflight.checks.sft import check_sft_batch, check_sft_rows
from rewardmap_verl.preflight.checks.values import Check
from rewardmap_verl.preflight.checks.zoom import check_zoom

__all__ = ["CHECKS"]

CHECKS: Mapping[str, tuple[Check, ...]] = {
    "ppo": (
        check_moved,
        check_weights,
        check_curriculum,
        check_ignored_keys,
        check_estimator,
        check_batch,
        check_micro_batches,
        check_tokens,
        check_replicas,
        check_managers,
        check_trainer,
        check_device,
        check_visible_devices,
        check_allocator,
        check_nodes,
        check_cluster,
        check_cores,
        check_model("actor_rollout_ref.model.path"),
        check_family,
        check_attention("actor_rollout_ref.model", "recipe/rewardmap"),
        check_memory,
        check_fused_kernels,
        check_bucket,
        check_columns,
        check_files,
        check_cities,
        check_stages,
        check_zoom,
        check_prompts,
        check_pickles,
        check_position,
        check_disk,
    ),
    "sft": (
        check_moved,
        check_sft_batch,
        check_device,
        check_visible_devices,
        check_model("model.path"),
        check_attention("model", "recipe/rewardmap_sft"),
        check_sft_rows,
        check_sft_pickles,
    ),
}
"""Checks by program; see ``rewardmap_verl.preflight.callback.PreflightCallback``."""
