"""Choice of the router between agent loops and vLLM's engines, as an interpolation of the recipe.

``actor_rollout_ref.rollout.router_config_path: ${rewardmap.map_router:}`` is the path of
``recipes/map_router.yaml`` in the installed package, on the node that reads it, or null where
verl's own router is the right one.
"""

from __future__ import annotations

from importlib.resources import files
from math import prod

from omegaconf import DictConfig, OmegaConf

from rewardmap_verl.verl_plugin.image_references import AGENT_LOOP, ZOOM_LOOP

__all__ = ["engine_count", "register_router_path", "router_path"]

_ENGINE_SIZES = (
    "tensor_model_parallel_size",
    "data_parallel_size",
    "pipeline_model_parallel_size",
)


def register_router_path() -> None:
    """Register the interpolation in this process. Idempotent."""
    OmegaConf.register_new_resolver("rewardmap.map_router", router_path, replace=True)


def router_path(*, _root_: DictConfig) -> str | None:
    """Return the path of the router's file; ``None`` for verl's own router.

    ``None`` if there is one engine, if maps do not travel as paths (the router would receive their
    pixels), and under ``full_determinism``, which only verl's router supports.

    Args:
        _root_: The complete configuration of the run.
    """
    rollout = _root_.actor_rollout_ref.rollout
    passes_paths = rollout.agent.default_agent_loop in (AGENT_LOOP, ZOOM_LOOP)
    if not passes_paths or rollout.full_determinism or engine_count(_root_) < 2:
        return None
    return str(files("rewardmap_verl.recipes").joinpath("map_router.yaml"))


def engine_count(config: DictConfig) -> int:
    """Return the number of inference engines of a run.

    1 if a size is not a positive integer, which the preflight check reports.
    """
    rollout = config.actor_rollout_ref.rollout
    sizes = [rollout[name] for name in _ENGINE_SIZES]
    devices = [config.trainer.n_gpus_per_node, config.trainer.nnodes]
    if not all(isinstance(one, int) and one > 0 for one in (*sizes, *devices)):
        return 1
    return prod(devices) // prod(sizes)
