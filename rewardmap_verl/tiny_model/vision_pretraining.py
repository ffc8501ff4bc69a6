"""What a tiny model sees before it is asked anything: visual tokens that say what stands there.

RewardMap starts from a model whose vision tower has been trained on billions of pictures, so that a
visual token means what is to be seen at its place. A tower with random weights learns that from
answers only in many thousands of steps. Here it is shown directly: on maps that the package drew,
the output for each visual token is drawn towards the sum of text embeddings: one that marks it as
part of a picture, the name of the stop at its place, and the lines of that stop. Then some heads
learn where to look (:mod:`rewardmap_verl.tiny_model.visual_lookup_init`). Nothing is said about questions,
routes or answers.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import MapRecord, read_manifest
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.tiny_model.visual_lookup_init import init_visual_lookup_heads

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

__all__ = ["Example", "Place", "pretrain_vision", "read_examples"]

PATCH = PixelBudget().patch
"""Pixels along a side of the square that one visual token of Qwen2.5-VL stands for."""

LEARNING_RATE = 2e-3
BATCH = 32
WARM_UP = 20
FLOOR = 0.1
"""Share of the learning rate that is left at the end."""


@dataclass(frozen=True, slots=True)
class Place:
    """What stands in the square of one visual token."""

    token: int
    """Number of the visual token in its picture, row by row."""
    words: tuple[str, ...]
    """The name of the stop, then those of its lines without the word "Line"."""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture, and what is to be seen where."""

    image: Path
    places: tuple[Place, ...]


def read_examples(folder: Path, split: str = "train") -> list[Example]:
    """Read what stands where on the maps of a prepared folder.

    Args:
        folder: a prepared folder of maps that the package drew.
        split: ``train`` or ``test``.

    Raises:
        DataError: the folder is not prepared, or has no map with known positions in that split.
    """
    maps = [record for record in read_manifest(folder).maps if split in record.splits]
    sights = [_sight(folder, record) for record in maps if record.positions]
    if not sights:
        raise DataError(
            folder / "manifest.json",
            field="positions",
            found=f"{len(maps)} maps of the split {split}, none of them drawn by this package",
            hint="Prepare synthetic maps: rewardmap prepare synthetic.",
        )
    return sights


def _sight(folder: Path, record: MapRecord) -> Example:
    positions = json.loads(inside(folder, record.positions).read_text())
    across = record.width // PATCH
    places = tuple(
        Place(int(y // PATCH) * across + int(x // PATCH), (label["text"], *_plain(calls)))
        for (x, y), label, calls in zip(
            positions["stops"], positions["labels"], positions["calls"], strict=True
        )
    )
    return Example(inside(folder, record.image), places)


def _plain(lines: Sequence[str]) -> list[str]:
    """ "Red Line" and "Line 1" without "Line": a word that every line has tells nothing."""
    return [" ".join(w for w in line.split() if w != "Line") or line for line in lines]


def pretrain_vision(
    model: Path,
    sights: Sequence[Example],
    output: Path,
    steps: int = 300,
    seed: int = 1,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Path:
    """Train the vision tower of ``model``, set its looking heads, and save it as another folder.

    Loss: mean squared difference of a visual token's output and what it is to be. All visual tokens
    are to be of like length: three embeddings, counted as if at right angles.

    Args:
        model: a folder of :func:`rewardmap_verl.tiny_model.build.build_tiny_model`.
        sights: what to show; all pictures of one size.
        output: the folder to write; it appears whole or not at all, and must not exist.
        steps: updates of the tower's weights, 32 pictures each.
        seed: seed of the order of the pictures.
        report: called after each step with its number, from 1, and its loss.

    Returns:
        ``output``.

    Raises:
        ConfigError: ``output`` exists.
        DataError: the pictures differ in size.
    """
    import torch
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or name another one.")
    whole: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(model)
    processor = AutoProcessor.from_pretrained(model)
    pixels, grid = _pixels(processor, sights)
    embeddings = whole.get_input_embeddings().weight.detach()
    goals = _goals(processor.tokenizer, embeddings, sights, int(grid.prod()) // 4)
    goals += embeddings[whole.config.image_token_id]
    _fit(whole.model.visual, pixels, grid, goals, steps, seed, report)
    init_visual_lookup_heads(whole, torch.Generator().manual_seed(seed))
    staging = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        shutil.copytree(model, staging, dirs_exist_ok=True)
        whole.save_pretrained(staging)
        staging.chmod(0o755)
        staging.rename(output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return output


def _pixels(processor: Any, sights: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Patches of all pictures (pictures, patches, values), and the grid (time, rows, columns)."""
    from PIL import Image

    pictures = []
    for sight in sights:
        with Image.open(sight.image) as picture:
            pictures.append(picture.convert("RGB"))
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise DataError(
            sights[0].image.parent,
            field="size",
            found=f"{len(sizes)} sizes of pictures",
            hint="Seeing is learned on maps of one size, as `rewardmap prepare --size micro` makes",
        )
    read = processor.image_processor(pictures, return_tensors="pt")
    grid = read["image_grid_thw"][0]
    return read["pixel_values"].view(len(pictures), int(grid.prod()), -1), grid


def _goals(
    tokenizer: PreTrainedTokenizerFast,
    embeddings: torch.Tensor,
    sights: Sequence[Example],
    tokens: int,
) -> torch.Tensor:
    """What each visual token is to say beside its mark (pictures, tokens, width).

    A word is its first token. A place where nothing stands is filled with an embedding that no text
    has, so that it is not more like the mark alone than others.
    """
    nothing = embeddings[tokenizer.pad_token_id] * 2**0.5
    goals = nothing.repeat(len(sights), tokens, 1)
    for number, sight in enumerate(sights):
        for place in sight.places:
            stop, *lines = (embeddings[tokenizer.encode(f" {word}")[0]] for word in place.words)
            goals[number, place.token] = stop + sum(lines) / len(lines) ** 0.5
    return goals


def _fit(
    tower: Any,
    pixels: torch.Tensor,
    grid: torch.Tensor,
    goals: torch.Tensor,
    steps: int,
    seed: int,
    report: Callable[[int, float], None],
) -> None:
    import torch

    optimizer = torch.optim.AdamW(tower.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    for step in range(1, steps + 1):
        rng = random.Random(f"{seed}/seeing/{step}")
        chosen = [rng.randrange(len(pixels)) for _ in range(BATCH)]
        seen = tower(pixels[chosen].flatten(0, 1), grid_thw=grid.repeat(BATCH, 1)).pooler_output
        loss = torch.nn.functional.mse_loss(seen.view(BATCH, *goals.shape[1:]), goals[chosen])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        report(step, loss.item())


def _rate(step: int, steps: int) -> float:
    """Rises for some steps, then falls along a cosine to the floor."""
    fall = FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * step / steps)) / 2
    return min(1.0, (step + 1) / WARM_UP) * fall
