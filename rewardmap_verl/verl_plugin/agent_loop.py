"""verl's single-turn agent loop for prompts whose images are prepared files.

For each rollout, stock verl 0.9.1 decodes and resizes the image, runs the processor on it three
times (for the prompt's tokens, for the reward's position ids, for the actor), sends its pixels to
vLLM and keeps a tensor of them. With this loop an image stays a path until a process needs its
pixels, and each process decodes it once:

- vLLM's server receives a ``PreparedImage``, whose identity hits vLLM's cache
  for all rollouts of a group except the first.
- Trajectories carry a ``PixelReference``. Actor and reference workers
  compute ``pixel_values`` from the file, one micro-batch at a time.

vLLM is asked for token ids only, without text (``without_text``).

``actor_rollout_ref.rollout.agent.default_agent_loop: rewardmap`` selects this loop; verl's own is
``single_turn_agent``. Prompts without images, and images in any other form, are left to verl.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.verl_plugin.image_references import AGENT_LOOP
from rewardmap_verl.verl_plugin.image_references.image_source import source_of
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage
from rewardmap_verl.verl_plugin.image_references.processor import refer_to_pixels

__all__ = ["ImageSettings", "MapAgentLoop", "PreparedMaps", "prepared_images"]


class ImageSettings(BaseModel):
    """The block ``data.images``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cache_megabytes: int = Field(default=1024, ge=0)
    """Cache per process in MiB: decoded images in vLLM's server, pixels in an actor. A map of
    16,000 visual tokens takes 37 MiB in either form, so the 16 maps of a step fit."""


class PreparedMaps:
    """Mixin for verl's agent loops that passes prepared maps by path."""

    data_config: Any
    processor: Any
    rollout_config: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = read_block(ImageSettings, self.data_config.get("images"), "data.images")
        self._cache_bytes = settings.cache_megabytes * 2**20
        refer_to_pixels(self.processor)

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> Any:
        """Generate one answer and return verl's ``AgentLoopOutput``."""
        if self.rollout_config.get("name") == "vllm":
            sampling_params = without_text(sampling_params)
        return await super().run(sampling_params, **kwargs)  # type: ignore[misc]

    async def process_multi_modal_info(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the images of a prompt, without pixels if all of them are prepared files."""
        if self.processor is not None:
            patch_size = getattr(self.processor.image_processor, "patch_size", 14)
            images = prepared_images(messages, patch_size, self._cache_bytes)
            if images:
                return {"images": images}
        data: dict[str, Any] = await super().process_multi_modal_info(messages)  # type: ignore[misc]
        return data


@register(AGENT_LOOP)
class MapAgentLoop(PreparedMaps, SingleTurnAgentLoop):
    """Single-turn agent loop that passes prepared maps by path."""


def without_text(sampling_params: Mapping[str, Any]) -> dict[str, Any]:
    """Return sampling parameters with which vLLM skips detokenization.

    The text would be unused: verl takes token ids, and the reward decodes them itself. If the user
    has set stop strings, vLLM needs the text and the parameters stay as they are.
    """
    if sampling_params.get("stop"):
        return dict(sampling_params)
    return {"detokenize": False, **sampling_params}


def prepared_images(
    messages: Sequence[Mapping[str, Any]], patch_size: int, cache_bytes: int
) -> list[PreparedImage] | None:
    """Return the images of a prompt; ``None`` unless all content is text or prepared images."""
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
    """Yield the content parts of all messages whose content is a list."""
    for message in messages:
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            yield from (part for part in content if isinstance(part, Mapping))
