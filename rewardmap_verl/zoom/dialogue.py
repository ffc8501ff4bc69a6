"""One question answered in turns with the zoom tool, outside of verl.

The rules are those of verl's agent loop: a turn without a readable call is the answer, of several
calls in a turn the first counts, and the number of turns is limited.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rewardmap_verl.zoom.crops import original_size, read_crop
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.tool import NAME, ToolAnswer, answer_call, instructions

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["CALL_TOKENS", "Dialogue", "read_call", "response_tokens"]

CALL_TOKENS: Final = 96
"""Tokens of a call, of the text beside its crop and of the chat template around both."""

_CALL: Final = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


def read_call(text: str) -> tuple[str, object] | None:
    """Return name and arguments of the first readable call of a turn; ``None`` without one."""
    for match in _CALL.finditer(text):
        try:
            call = json.loads(match[1])
            return str(call["name"]), call["arguments"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return None


def response_tokens(settings: ZoomSettings, answer: int, unit: int = 28) -> int:
    """Return the most tokens of a trajectory after its prompt.

    Args:
        settings: Budget of the tool.
        answer: Tokens that the model may write.
        unit: Side of the square of one visual token in pixels.
    """
    return answer + settings.max_calls * (settings.crop_tokens(unit) + CALL_TOKENS)


@dataclass
class Dialogue:
    """A trajectory that is being generated."""

    original: str
    """Path of the original map; "" for a question without the tool."""
    settings: ZoomSettings
    unit: int
    """Side of the square of one visual token in pixels."""
    messages: list[dict[str, Any]]
    """The prompt, then every turn. A crop is a part ``{"type": "image", "image": …}``."""
    tokens: int = 0
    """Tokens that the model has written."""
    answer: str = ""
    """The last turn."""
    done: bool = False
    turns: list[str] = field(default_factory=list)
    """The turns of the model and the tool, in order."""
    _calls: int = 0

    def describe(self) -> None:
        """Add the description of the tool, for chat templates that ignore tools."""
        if self.settings.describe:
            system = {"role": "system", "content": instructions(self.settings)}
            self.messages.insert(0, system)

    def take(self, text: str, tokens: int | None, complete: bool) -> None:
        """Add a turn of the model, and the answer of the tool if it calls.

        Args:
            text: What the model wrote.
            tokens: Its tokens, if known.
            complete: False if it was cut off.
        """
        self.tokens += tokens or 0
        self.answer = text
        self.messages.append({"role": "assistant", "content": text})
        self.turns.append(text)
        call = read_call(text) if complete and self.original else None
        if call is None or len(self.turns) // 2 >= self.settings.max_calls + 1:
            self.done = True
            return
        answer = self._call(*call)
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}]
        if answer.crop is not None:
            crop: Image = read_crop(self.original, answer.crop)
            content.insert(0, {"type": "image", "image": crop})
        self.messages.append({"role": "tool", "content": content})
        self.turns.append(answer.text)

    def _call(self, name: str, arguments: object) -> ToolAnswer:
        if name != NAME:
            return ToolAnswer(f"Unknown function '{name}'. Available tools: ['{NAME}']")
        size = original_size(self.original)
        answer = answer_call(arguments, self._calls, size, self.settings, self.unit)
        self._calls += 1
        return answer

    @property
    def transcript(self) -> str:
        """All turns as one text, as verl dumps a trajectory."""
        said = [
            f"\ntool\n{text}\nassistant\n" if place % 2 else text
            for place, text in enumerate(self.turns)
        ]
        return "".join(said)

    @property
    def images(self) -> list[Any]:
        """The crops, in order."""
        return [
            part["image"]
            for message in self.messages
            if message["role"] == "tool"
            for part in message["content"]
            if part["type"] == "image"
        ]
