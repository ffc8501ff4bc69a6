"""The embedded model during pretraining: language model on precomputed visual tokens.

The vision tower is frozen then, and all maps have one size. So its output is computed once per map,
and the positions of a prompt are the same for every map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rewardmap_verl.tiny_model.build import IMAGE_PAD, TURN_END
from rewardmap_verl.tiny_model.reading_tasks import Task

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from PIL import Image

__all__ = ["Encoded", "MapReader"]

_IMAGES_AT_ONCE = 64
_QUESTION = "QUESTION"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A task as token ids."""

    prompt: list[int]
    """User turn with the visual tokens, and the beginning of the assistant turn."""
    answer: list[int]
    """Answer and end of turn."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class MapReader:
    """A model folder opened for pretraining on maps of one size."""

    def __init__(self, folder: Path, grid: tuple[int, int]) -> None:
        """Load a model.

        Args:
            folder: Model folder with a pretrained vision tower.
            grid: Rows and columns of visual tokens of every map.
        """
        import torch
        from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

        self.model: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder, attn_implementation="sdpa", dtype=torch.float32
        )
        self.processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        self.model.model.visual.requires_grad_(False)
        self._tokenizer = self.processor.tokenizer
        self._grid = grid
        self._before, self._between, self._after = self._template()
        self._first = len(self._tokenizer.encode(self._before))
        self._tokens = grid[0] * grid[1]

    def save(self, folder: Path) -> None:
        """Write model and processor into a folder."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def weights(self) -> list[torch.nn.Parameter]:
        """Return the weights that are trained: all but the vision tower's."""
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    def _template(self) -> tuple[str, str, str]:
        """Return the text of a prompt before the map, between map and question, and after it."""
        content = [{"type": "image"}, {"type": "text", "text": f"\n{_QUESTION}"}]
        text = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        before, _, rest = text.partition(IMAGE_PAD)
        between, _, after = rest.partition(_QUESTION)
        return before, between, after

    def encode(self, task: Task) -> Encoded:
        """Return a task as token ids, as verl and vLLM encode it."""
        encode = self._tokenizer.encode
        visual = [self.model.config.image_token_id] * self._tokens
        question = encode(self._between + task.question + self._after)
        return Encoded(encode(self._before) + visual + question, encode(task.answer + TURN_END))

    def see(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Return the visual tokens of maps in half precision (maps, tokens, width)."""
        import torch

        seen = []
        with torch.no_grad():
            for start in range(0, len(images), _IMAGES_AT_ONCE):
                batch = self.processor.image_processor(
                    list(images[start : start + _IMAGES_AT_ONCE]), return_tensors="pt"
                )
                output = self.model.model.visual(
                    batch["pixel_values"], grid_thw=batch["image_grid_thw"]
                ).pooler_output
                seen.append(output.view(-1, self._tokens, output.shape[-1]).half())
        return torch.cat(seen)

    def answer_logits(
        self, tasks: Sequence[Encoded], seen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits (answer tokens, vocabulary) of all answers, and their token ids.

        Args:
            tasks: A batch of tasks; shorter ones are padded at the end, which no token before sees.
            seen: Visual tokens of the map of each task.
        """
        import torch

        length = max(map(len, tasks))
        tokens = torch.full((len(tasks), length), self._tokenizer.pad_token_id)
        for row, task in enumerate(tasks):
            tokens[row, : len(task)] = torch.tensor(task.prompt + task.answer)
        inputs = self.model.get_input_embeddings()(tokens)
        last = self._first + self._tokens
        inputs = torch.cat([inputs[:, : self._first], seen.float(), inputs[:, last:]], dim=1)
        hidden = self.model.model.language_model(
            inputs_embeds=inputs,
            position_ids=self.positions(length)[:, None].expand(3, len(tasks), length),
            use_cache=False,
        ).last_hidden_state
        rows = [row for row, task in enumerate(tasks) for _ in task.answer]
        columns = [len(task.prompt) + i for task in tasks for i in range(len(task.answer))]
        before = [column - 1 for column in columns]
        return self.model.lm_head(hidden[rows, before]), tokens[rows, columns]

    def positions(self, length: int) -> torch.Tensor:
        """Return the positions (time, row, column) of a sequence with one map (3, length)."""
        import torch

        columns = self._grid[1]
        text = torch.arange(self._first)
        place = torch.arange(self._tokens)
        image = torch.stack([place * 0, place // columns, place % columns]) + self._first
        after = torch.arange(length - self._first - self._tokens) + self._first + max(self._grid)
        return torch.cat([text.expand(3, -1), image, after.expand(3, -1)], dim=1)
