"""The zoom tool: its description for the model, and its answer to a call.

Whatever a model asks for, the answer is a text, with or without a crop. Only a data set that is
damaged raises an error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from rewardmap_verl.zoom.boxes import Box, BoxError, read_box
from rewardmap_verl.zoom.crops import Crop, plan_crop
from rewardmap_verl.zoom.settings import ZoomSettings

__all__ = [
    "NAME",
    "SCHEMA",
    "ToolAnswer",
    "answer_call",
    "call_text",
    "instructions",
    "shows_tools",
]

NAME: Final = "zoom"

SCHEMA: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Shows a region of the map with more detail, cut from the original picture.",
        "parameters": {
            "type": "object",
            "properties": {
                "box": {
                    "type": "array",
                    "description": "[left, top, right, bottom] of the region, each from 0 to 1000. "
                    "[0, 0, 1000, 1000] is the whole map; 0, 0 is its upper left corner.",
                }
            },
            "required": ["box"],
        },
    },
}
"""The tool as verl, vLLM and OpenAI-compatible servers describe tools to a model."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The answer to one call."""

    text: str
    box: Box | None = None
    """The box that was taken; ``None`` if there is no crop."""
    crop: Crop | None = None


def answer_call(
    arguments: object,
    earlier_calls: int,
    original: tuple[int, int],
    settings: ZoomSettings,
    unit: int,
) -> ToolAnswer:
    """Answer a call of the tool.

    Args:
        arguments: What the model wrote, decoded from JSON; anything at all.
        earlier_calls: Calls of this trajectory so far.
        original: Width and height of the original in pixels.
        settings: Limits.
        unit: Side of the square of one visual token in pixels.
    """
    left = settings.max_calls - earlier_calls - 1
    if left < 0:
        return ToolAnswer("No zoom is left. Give your answer now.")
    try:
        box = read_box(arguments)
        crop = plan_crop(box, original, settings, unit)
    except BoxError as error:
        return ToolAnswer(f"{error} Calls left: {left}.")
    return ToolAnswer(f"Box {box.as_list()}. Calls left: {left}.", box, crop)


def call_text(box: Box) -> str:
    """Return a call as the model writes it, in the format of Hermes and Qwen2.5."""
    call = {"name": NAME, "arguments": {"box": box.as_list()}}
    return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


def instructions(settings: ZoomSettings) -> str:
    """Return a system message that describes the tool, for chat templates that ignore tools."""
    example = call_text(Box(0, 0, 500, 500))
    return (
        "You have one tool:\n"
        f"<tools>\n{json.dumps(SCHEMA['function'])}\n</tools>\n"
        f"To look closer, end your message with one call, for example\n{example}\n"
        f"and wait for the picture. You can zoom up to {settings.max_calls} times. When you have "
        "read what you need, answer in the form that the question asks for, without a call."
    )


def shows_tools(processor: Any) -> bool:
    """Return whether a model's chat template writes tools into the prompt.

    Qwen3-VL's does. Qwen2.5-VL's does not, although its language model was trained with tools.
    """
    messages = [{"role": "user", "content": "?"}]
    texts = [
        processor.apply_chat_template(messages, tools=tools, tokenize=False)
        for tools in (None, [SCHEMA])
    ]
    return bool(texts[0] != texts[1])
