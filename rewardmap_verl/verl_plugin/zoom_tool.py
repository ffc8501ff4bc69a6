"""The zoom tool as verl runs it, and its agent loop.

verl's ``ToolAgentLoop`` takes turns between the model and its tools. This package adds the tool,
its description in the prompt where the chat template has no place for one, and the number of the
token at which the last turn, the answer, starts. Crops travel as references (``CropSource``), like
the maps.

The loop brings its tool along: ``rollout.multi_turn.tool_config_path`` is not needed, and may name
further tools. verl 0.9.1 looks for that file in the working directory of each node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

from verl.experimental.agent_loop.agent_loop import ToolListWrap, register
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.tools.base_tool import BaseTool
from verl.tools.schemas import OpenAIFunctionToolSchema, ToolResponse

from rewardmap_verl.config_blocks import read_block
from rewardmap_verl.verl_plugin.agent_loop import PreparedMaps
from rewardmap_verl.verl_plugin.image_references import ZOOM_LOOP
from rewardmap_verl.verl_plugin.image_references.crop_source import CropSource
from rewardmap_verl.verl_plugin.image_references.image_source import digest_of
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage
from rewardmap_verl.zoom.crops import original_size
from rewardmap_verl.zoom.settings import BLOCK, ZoomSettings
from rewardmap_verl.zoom.statistics import ANSWER_START, BOXES
from rewardmap_verl.zoom.tool import NAME, SCHEMA, answer_call, instructions, shows_tools

__all__ = ["ZoomAgentLoop", "ZoomTool", "description_tokens", "tool_kwargs"]

TURN_TOKENS = 8
"""Tokens that a chat template puts around a message, and more."""


@dataclass(frozen=True, slots=True)
class ZoomTarget:
    """What the calls of one trajectory refer to, from ``tools_kwargs`` of its row."""

    original: str
    """Absolute path of the original map."""


def tool_kwargs(original: str) -> dict[str, Any]:
    """Return ``tools_kwargs`` of a row.

    Args:
        original: Absolute path of the original map, already checked to be inside the data folder.
    """
    return {NAME: {"create_kwargs": {"original": original}}}


class ZoomTool(BaseTool):
    """verl's tool ``zoom``. verl creates and releases it around each call.

    Args:
        config: ``settings``: ``ZoomSettings``. ``unit``: side of the square of one visual token in
            pixels. ``cache_bytes``: bytes of images that a process may cache.
        tool_schema: Not used; the schema is ``SCHEMA``.
    """

    def __init__(self, config: Mapping[str, Any], tool_schema: Any = None) -> None:
        schema = tool_schema or OpenAIFunctionToolSchema.model_validate(SCHEMA)
        super().__init__(dict(config), schema)
        self._targets: dict[str, ZoomTarget] = {}

    async def create(
        self, instance_id: str | None = None, **kwargs: Any
    ) -> tuple[str, ToolResponse]:
        """Prepare one call."""
        instance_id = instance_id or uuid4().hex
        self._targets[instance_id] = ZoomTarget(**kwargs["create_kwargs"])
        return instance_id, ToolResponse()

    async def execute(
        self, instance_id: str, parameters: dict[str, Any], **kwargs: Any
    ) -> tuple[ToolResponse, float, dict[str, Any]]:
        """Answer one call.

        Args:
            instance_id: From ``create``.
            parameters: What the model wrote, decoded from JSON; anything at all.
            kwargs: ``agent_data``, verl's state of the trajectory.
        """
        path = self._targets[instance_id].original
        calls: list[Any] = kwargs["agent_data"].extra_fields.setdefault(BOXES, [])
        answer = answer_call(
            parameters, len(calls), size_of(path), self.config["settings"], self.config["unit"]
        )
        calls.append(answer.box.as_list() if answer.box else None)
        if answer.crop is None:
            return ToolResponse(text=answer.text), 0.0, {}
        source = CropSource(path, digest_of(path), answer.crop, self.config["cache_bytes"])
        return ToolResponse(text=answer.text, image=[PreparedImage(source)]), 0.0, {}

    async def release(self, instance_id: str, **_: Any) -> None:
        """Forget a call."""
        self._targets.pop(instance_id, None)


@register(ZOOM_LOOP)
class ZoomAgentLoop(PreparedMaps, ToolAgentLoop):
    """verl's tool agent loop with the zoom tool."""

    tools: dict[str, Any]
    tool_schemas: list[dict[str, Any]]

    def __init__(self, *args: Any, tools: ToolListWrap | None = None, **kwargs: Any) -> None:
        super().__init__(*args, tools=tools, **kwargs)
        self._settings = read_block(ZoomSettings, self.data_config.get("zoom"), BLOCK)
        images = self.processor.image_processor
        tool = _tool(self._settings, images.patch_size * images.merge_size, self._cache_bytes)
        self.tools = {**self.tools, NAME: tool}
        self.tool_schemas = [
            one.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
            for one in self.tools.values()
        ]
        self._describes = self._settings.describe and not shows_tools(self.processor)

    async def run(self, sampling_params: dict[str, Any], **kwargs: Any) -> Any:
        """Generate one trajectory and return verl's ``AgentLoopOutput``."""
        if self._describes:
            system = {"role": "system", "content": instructions(self._settings)}
            kwargs["raw_prompt"] = [system, *kwargs["raw_prompt"]]
        output = await super().run(sampling_params, **kwargs)
        output.extra_fields.setdefault(BOXES, [])
        output.extra_fields[ANSWER_START] = last_turn(output.response_mask)
        return output


@cache
def _tool(settings: ZoomSettings, unit: int, cache_bytes: int) -> ZoomTool:
    """Return the tool of this process; verl's base class prints the schema of each new one."""
    return ZoomTool({"settings": settings, "unit": unit, "cache_bytes": cache_bytes})


@cache
def size_of(path: str) -> tuple[int, int]:
    """Return the size of an original, read once per process."""
    return original_size(path)


def description_tokens(settings: ZoomSettings, tokenizer: Any) -> int:
    """Return how many tokens the tool's description adds to a prompt, rounded up."""
    if not settings.describe:
        return 0
    return len(tokenizer.encode(instructions(settings))) + TURN_TOKENS


def last_turn(mask: Sequence[int]) -> int:
    """Return where the last turn of the model starts in a response.

    Args:
        mask: 1 for tokens of the model, 0 for tokens of tools and of the chat template.
    """
    start = len(mask)
    while start and mask[start - 1]:
        start -= 1
    return start
