"""verl's worker of agent loops, which prepares the prompt of a group once, with one loop for all.

Stock verl 0.9.1 has Hydra build an agent loop for each rollout, out of the whole configuration
(6 ms); a :class:`~.agent_loop.MapAgentLoop` keeps nothing of an answer, so that one serves all.

verl decodes prompt and answer of every rollout to text, has the processor expand and tokenize it,
and computes M-RoPE positions from the first token to the last: all of it twice, for the reward and
for the queue. What comes out depends on the prompt alone, but for the positions of the answer,
which go on by one. docs/cost.md says what that is worth.

Chosen by ``actor_rollout_ref.rollout.agent.agent_loop_manager_class``. Inputs are shared where all
images of a prompt are prepared files, positions wherever there are texts and images alone; all else
takes verl's way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import ray
import torch
import transfer_queue
from verl.experimental.agent_loop.agent_loop import DictConfigWrap, _agent_loop_registry
from verl.trainer.ppo.v1 import AgentLoopManagerTQ, AgentLoopWorkerTQ
from verl.utils.rollout_trace import rollout_trace_attr
from verl.utils.tokenizer import get_processor_token_id

from rewardmap_verl.verl_plugin.agent_loop import MapAgentLoop
from rewardmap_verl.verl_plugin.image_references.cache import ByteCache
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage
from rewardmap_verl.verl_plugin.image_references.processor import flat, output_bytes
from rewardmap_verl.verl_plugin.joined_puts import JoinedPuts

__all__ = ["MapAgentLoopManager", "SharesPrompts"]

OF_THE_PICTURE = {"pixel_values", "image_grid_thw", "images_seqlens", "mm_token_type_ids"}
"""Inputs that a text does not change; verl makes ``mm_token_type_ids`` anew for positions."""

_OURS = {"_target_": f"{MapAgentLoop.__module__}.{MapAgentLoop.__qualname__}"}  # as verl names it

_KEPT_BYTES = 64 * 2**20  # positions of a prompt of 16,000 tokens take half a megabyte


class SharesPrompts:
    """Mixed into a worker of agent loops: what the answers of a group have in common."""

    config: Any
    llm_client: Any
    tokenizer: Any
    processor: Any
    hf_model_type: Any
    dataset_cls: Any
    _agent_loop_postprocess: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(transfer_queue.async_kv_batch_put, JoinedPuts):
            transfer_queue.async_kv_batch_put = JoinedPuts(transfer_queue.async_kv_batch_put)

    @cached_property
    def _inputs(self) -> ByteCache[dict[str, Any]]:
        return ByteCache(_KEPT_BYTES, output_bytes)

    @cached_property
    def _positions(self) -> ByteCache[torch.Tensor]:
        return ByteCache(_KEPT_BYTES, lambda positions: positions.nbytes)

    @cached_property
    def _image_token(self) -> int | None:
        return get_processor_token_id(self.processor, "image")

    @cached_property
    def _map_loop(self) -> MapAgentLoop:
        return MapAgentLoop(
            trainer_config=DictConfigWrap(self.config),
            server_manager=self.llm_client,
            tokenizer=self.tokenizer,
            processor=self.processor,
            hf_model_type=self.hf_model_type,
            dataset_cls=self.dataset_cls,
            data_config=DictConfigWrap(self.config.data),
        )

    async def _run_agent_loop(
        self,
        sampling_params: dict[str, Any],
        trajectory: dict[str, Any],
        *,
        agent_name: str,
        trace: bool = True,
        **kwargs: Any,
    ) -> Any:
        """As verl's, with one loop for all answers where the loop is :class:`MapAgentLoop`."""
        if _agent_loop_registry.get(agent_name) != _OURS:
            verls: Callable[..., Any] = super()._run_agent_loop  # type: ignore[misc]
            return await verls(
                sampling_params, trajectory, agent_name=agent_name, trace=trace, **kwargs
            )
        with rollout_trace_attr(**trajectory, name="agent_loop", trace=trace):
            output = await self._map_loop.run(sampling_params, **kwargs)
            return await self._agent_loop_postprocess(output, trajectory["validate"], **kwargs)

    def _compute_multi_modal_inputs(self, output: Any, input_ids: torch.Tensor) -> dict[str, Any]:
        """As verl's, computed once for all answers to a prompt."""
        verls: Callable[..., dict[str, Any]] = super()._compute_multi_modal_inputs  # type: ignore[misc]
        prompt = output.prompt_ids
        images = prepared(output)
        if not images or bool((input_ids[len(prompt) :] == self._image_token).any()):
            return verls(output, input_ids)
        key = (tuple(prompt), tuple(one.source for one in images), repr(output.mm_processor_kwargs))
        kept = self._inputs.get(key, lambda: verls(output, input_ids[: len(prompt)]))
        if not kept.keys() <= OF_THE_PICTURE:
            return verls(output, input_ids)
        return dict(kept)  # verl takes parts out of what it gets

    def _compute_position_ids(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        multi_modal_inputs: dict[str, Any],
        mm_processor_kwargs: dict[str, Any] | None = None,
    ) -> torch.Tensor:
        """As verl's (shape 1 × 4 × tokens), computed once as far as the first word after a map."""
        verls: Callable[..., torch.Tensor] = super()._compute_position_ids  # type: ignore[misc]
        rest = (attention_mask, multi_modal_inputs, mm_processor_kwargs)
        at = (input_ids[0] == self._image_token).nonzero()
        whole = bool(attention_mask.all()) and multi_modal_inputs.keys() <= OF_THE_PICTURE
        begun = int(at[-1]) + 2 if len(at) else 0
        if not whole or not 0 < begun < input_ids.shape[1]:
            return verls(input_ids, *rest)
        head, mask = input_ids[:, :begun], attention_mask[:, :begun]
        grid = multi_modal_inputs["image_grid_thw"]
        kept = self._positions.get(
            (tuple(head[0].tolist()), tuple(grid.flatten().tolist())),
            lambda: verls(head, mask, dict(multi_modal_inputs), mm_processor_kwargs),
        )
        multi_modal_inputs.pop("mm_token_type_ids", None)  # as verl's does
        further = torch.arange(1, input_ids.shape[1] - begun + 1)
        return torch.cat([kept, kept[..., -1:] + further], dim=-1)


def prepared(output: Any) -> tuple[PreparedImage, ...]:
    """The images of an answer's prompt; none if there is anything but prepared ones."""
    data = {name: value for name, value in (output.multi_modal_data or {}).items() if value}
    images = tuple(flat(data.pop("images", ())))
    if data or not all(isinstance(one, PreparedImage) for one in images):
        return ()
    return images


def worker_class() -> Any:
    """verl's class of workers with :class:`SharesPrompts`, as an actor of Ray.

    It is made here and not in the module, so that Ray sends it by value: so it sends verl's own,
    whose name stands for the actor, and a class must not reach a worker in both ways.
    """
    stock: Any = AgentLoopWorkerTQ.__ray_metadata__.modified_class.__ray_actor_class__
    return ray.remote(type("MapAgentLoopWorker", (SharesPrompts, stock), {}))


class MapAgentLoopManager(AgentLoopManagerTQ):
    """verl's manager, with workers that prepare the prompt of a group once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = worker_class()
