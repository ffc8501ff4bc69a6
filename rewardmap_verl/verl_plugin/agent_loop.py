"""verl's single-turn agent loop, for prompts whose images lie prepared on disk.

Stock verl 0.9.1 decodes and resizes the image of each rollout, runs the processor on it three times
(for the prompt's tokens, for the reward's position ids, for the actor), sends its pixels to vLLM
and keeps a tensor of them per trajectory. Here an image is its path until a process looks at its
pixels, and a process decodes it once:

- vLLM's server gets :class:`~.prepared_image.PreparedImage`, whose identity hits vLLM's cache for
  all rollouts of a group but the first;
- trajectories carry a :class:`~.pixels.PixelReference`; actor and reference workers compute
  ``pixel_values`` from the file, one micro-batch at a time.

vLLM is asked for token ids and for no text (:func:`token_ids_alone`).

Chosen by ``actor_rollout_ref.rollout.agent.default_agent_loop: rewardmap``; verl's own is
``single_turn_agent``. Prompts without images, and images in another form, take verl's way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.verl_plugin.image_references.image_source import source_of
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage
from rewardmap_verl.verl_plugin.image_references.processor import refer_to_pixels

__all__ = ["ImageSettings", "MapAgentLoop", "prepared_images"]

NAME = "rewardmap"


class ImageSettings(BaseModel):
    """The block ``data.images``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache_megabytes: int = Field(default=1024, ge=0)
    """What a process keeps, in MiB: vLLM's server decoded images, an actor the model's pixels.
    A map of 16,000 visual tokens takes 37 MiB either way, so that a step's 16 maps fit."""


@register(NAME)
class MapAgentLoop(SingleTurnAgentLoop):
    """One question about prepared maps, one answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = read_block(ImageSettings, self.data_config.get("images"), "data.images")
        self._cache_bytes = settings.cache_megabytes * 2**20
        refer_to_pixels(self.processor)

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> Any:
        """Have one answer generated, as verl's loop does (its ``AgentLoopOutput``)."""
        if self.rollout_config.get("name") == "vllm":
            sampling_params = token_ids_alone(sampling_params)
        return await super().run(sampling_params, **kwargs)

    async def process_multi_modal_info(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """The images of a prompt, without pixels where they are prepared files."""
        if self.processor is not None:
            patch_size = getattr(self.processor.image_processor, "patch_size", 14)
            images = prepared_images(messages, patch_size, self._cache_bytes)
            if images:
                return {"images": images}
        data: dict[str, Any] = await super().process_multi_modal_info(messages)
        return data


def token_ids_alone(sampling_params: Mapping[str, Any]) -> dict[str, Any]:
    """Sampling parameters with which vLLM makes no text of an answer, token by token.

    Nobody reads that text: verl takes token ids, and the reward makes its own text of them. Where
    the user has strings that end an answer, vLLM must compare texts and goes on to make them.
    """
    if sampling_params.get("stop"):
        return dict(sampling_params)
    return {"detokenize": False, **sampling_params}


def prepared_images(
    messages: Sequence[Mapping[str, Any]], patch_size: int, cache_bytes: int
) -> list[PreparedImage] | None:
    """The images of a prompt; ``None`` if there is anything but texts and prepared images."""
    images = []
    for item in contents(messages):
        kind = item.get("type")
        if kind == "text":
            continue
        source = source_of(item, patch_size, cache_bytes) if kind == "image" else None
        if source is None:
            return None
        images.append(PreparedImage(source))
    return images


def contents(messages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The parts of all messages that are more than a string."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            yield from (part for part in content if isinstance(part, Mapping))
