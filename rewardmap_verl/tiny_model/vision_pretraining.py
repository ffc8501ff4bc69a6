"""Vision pretraining of a tiny model: visual tokens that encode the stop at their position.

RewardMap starts from a model whose vision tower was trained on billions of images, so its visual
tokens carry the content of their image region. A tower with random weights learns that from
answers only after many thousands of steps. Here it is trained directly on maps drawn by this
package: the output for each visual token is regressed onto a sum of text embeddings, namely the
image token, the name of the stop at that position, and the lines of the stop, and classified by
them. Then some attention heads are initialized to look words up in the image
(``rewardmap_verl.tiny_model.visual_lookup_init``). Questions, routes and answers are not used.
"""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.inputs.parsing import MALFORMED, parse_json
from rewardmap_verl.preparation.atomic import disk_errors, staging_folder
from rewardmap_verl.preparation.images import PixelBudget
from rewardmap_verl.preparation.manifest import MapRecord, read_manifest
from rewardmap_verl.preparation.paths import PICTURE_FORMATS, inside
from rewardmap_verl.preparation.records import prepared_image
from rewardmap_verl.tiny_model.visual_lookup_init import init_visual_lookup_heads

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

__all__ = ["Example", "TokenLabel", "pretrain_vision", "read_examples"]

PATCH = PixelBudget().patch
"""Side in pixels of the square that one visual token of Qwen2.5-VL covers."""

LEARNING_RATE = 2e-3
BATCH = 32
WARM_UP = 20
FLOOR = 0.1
"""Fraction of the learning rate that remains at the end."""
CLASSIFICATION = 0.1
"""Weight of the cross-entropy. Without it, the names of fifty stops take ten times as many steps.
"""
SHARPNESS = 8.0
"""Logit of a word whose embedding is contained in the visual token."""


@dataclass(frozen=True, slots=True)
class TokenLabel:
    """Content of the square of one visual token."""

    token: int
    """Index of the visual token in its image, in row-major order."""
    words: tuple[str, ...]
    """Name of the stop, then the names of its lines without the word "Line"."""
    place: tuple[str, ...] = ()
    """Words for the position of the square in the image, or none: a tower without them encodes what
    is shown, but not where."""


@dataclass(frozen=True, slots=True)
class Example:
    """An image with the labels of its visual tokens."""

    image: Path
    labels: tuple[TokenLabel, ...]


def read_examples(folder: Path, split: str = "train") -> list[Example]:
    """Read the labeled maps of a prepared folder.

    Args:
        folder: A prepared folder of maps drawn by this package.
        split: ``train`` or ``test``.

    Raises:
        DataError: The folder is not prepared, or the split has no map with known positions.
    """
    maps = [record for record in read_manifest(folder).maps if split in record.splits]
    examples = [_example(folder, record) for record in maps if record.positions]
    if not examples:
        raise DataError(
            folder / "manifest.json",
            field="positions",
            found=f"{len(maps)} maps in the split {split}, none drawn by this package",
            hint="Prepare synthetic maps with `rewardmap prepare synthetic`.",
        )
    return examples


def _example(folder: Path, record: MapRecord) -> Example:
    path = inside(folder, record.positions)
    try:
        grid = (record.height // PATCH, record.width // PATCH)
        labels = tuple(_labels(parse_json(path.read_bytes()), *grid))
    except MALFORMED as error:
        hint = "Prepare the data again with `rewardmap prepare synthetic`."
        raise DataError(path, found=repr(error), hint=hint) from None
    return Example(prepared_image(folder, record.image), labels)


def _labels(positions: Any, rows: int, columns: int) -> Iterator[TokenLabel]:
    """Yield the labels of a drawn map from the positions beside it."""
    for (x, y), label, calls in zip(
        positions["stops"], positions["labels"], positions["calls"], strict=True
    ):
        row, column = int(y // PATCH), int(x // PATCH)
        if not (0 <= row < rows and 0 <= column < columns):
            raise ValueError(f"({x}, {y}) is outside of the map")
        words = (str(label["text"]), *_line_words(list(calls)))
        yield TokenLabel(row * columns + column, words)


def _line_words(lines: Sequence[str]) -> list[str]:
    """Return line names without "Line", which carries no information ("Red Line" → "Red")."""
    return [" ".join(w for w in line.split() if w != "Line") or line for line in lines]


def pretrain_vision(
    model: Path,
    examples: Sequence[Example],
    output: Path,
    steps: int = 300,
    seed: int = 1,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> Path:
    """Train the vision tower of ``model``, initialize lookup heads, and save another folder.

    The loss is the mean squared error between the output of each visual token and its target, plus
    a cross-entropy that tells the words in it from all other words. All targets have a similar
    norm: that of three orthogonal embeddings, or of four with a place.

    Args:
        model: Model folder from ``rewardmap_verl.tiny_model.build.build_tiny_model``.
        examples: Training images, all of one size.
        output: Folder to write; it appears only when complete, and must not exist.
        steps: Updates of the tower, with 32 images each.
        seed: Seed for the order of the images.
        report: Called after each step with its number, from 1, and its loss.

    Returns:
        ``output``.

    Raises:
        ConfigError: ``output`` exists.
        DataError: The images differ in size.
    """
    if output.exists():
        raise ConfigError(output, found="an existing path", hint="Remove it or choose another one.")
    trained = train_tower(model, examples, steps, seed, report)
    output.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(output), staging_folder(output, "config.json") as staging:
        shutil.copytree(model, staging, dirs_exist_ok=True)
        trained.save_pretrained(staging)
    return output


def train_tower(
    model: Path,
    examples: Sequence[Example],
    steps: int,
    seed: int,
    report: Callable[[int, float], None],
) -> Any:
    """Return the model after the training of its tower, as ``pretrain_vision`` describes it."""
    import torch
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

    full: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(model)
    processor = AutoProcessor.from_pretrained(model, trust_remote_code=False)
    pixels, grid = _pixels(processor, examples)
    embeddings = full.get_input_embeddings().weight.detach()
    words, contents = _contents(processor.tokenizer, examples, int(grid.prod()) // 4)
    image_token = embeddings[full.config.image_token_id]
    parts = contents.pow(2).sum(-1).max()
    empty = embeddings[processor.tokenizer.pad_token_id] * parts.sqrt()
    targets = _Targets(embeddings[words], contents, image_token, empty)
    _fit(full.model.visual, pixels, grid, targets, steps, seed, report)
    init_visual_lookup_heads(full, 1 + round(parts.item()), torch.Generator().manual_seed(seed))
    return full


def _pixels(processor: Any, examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patches of all images (images, patches, values) and the grid (time, rows, columns)."""
    from PIL import Image

    images = []
    for example in examples:
        with Image.open(example.image, formats=PICTURE_FORMATS) as image:
            images.append(image.convert("RGB"))
    sizes = {image.size for image in images}
    if len(sizes) > 1:
        raise DataError(
            examples[0].image.parent,
            field="size",
            found=f"{len(sizes)} image sizes",
            hint="Vision pretraining needs maps of one size.",
        )
    batch = processor.image_processor(images, return_tensors="pt")
    grid = batch["image_grid_thw"][0]
    return batch["pixel_values"].view(len(images), int(grid.prod()), -1), grid


def _contents(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[Example], tokens: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the token ids of all words, and the weight of each word in each visual token.

    A word is represented by its first token. The name of a stop has the weight 1; each of its n
    lines, and each of the n words of its place, 1/√n. So the squared weights of a square add up to
    the number of its parts. The weights have the shape (images, visual tokens, words).
    """
    import torch

    labels = [label for example in examples for label in example.labels]
    words = {word for label in labels for word in (*label.words, *label.place)}
    ids = {word: tokenizer.encode(f" {word}")[0] for word in words}
    columns = {token: column for column, token in enumerate(sorted(set(ids.values())))}
    weights = torch.zeros(len(examples), tokens, len(columns))
    for number, example in enumerate(examples):
        for label in example.labels:
            stop, *lines = label.words
            for part in ([stop], lines, label.place):
                for word in part:
                    weights[number, label.token, columns[ids[word]]] = len(part) ** -0.5
    return torch.tensor(sorted(columns)), weights


@dataclass(frozen=True, slots=True)
class _Targets:
    """What the visual tokens of all images should encode."""

    words: torch.Tensor
    """Embeddings of the words (words, width)."""
    contents: torch.Tensor
    """Weight of each word in each visual token (images, visual tokens, words)."""
    image_token: torch.Tensor
    """Embedding that every visual token contains (width,)."""
    empty: torch.Tensor
    """Content of a square without a stop (width,): a vector that no text has, so that such squares
    are not closer to the image token than others are."""

    def loss(self, output: torch.Tensor, chosen: Sequence[int]) -> torch.Tensor:
        """Return the loss of the tower's output for the chosen images."""
        import torch
        from torch.nn.functional import cross_entropy, mse_loss

        contents = self.contents[list(chosen)]
        labeled = contents.any(-1)
        words = torch.where(labeled[..., None], contents @ self.words, self.empty)
        found = (output - self.image_token)[labeled] @ self.words.T / self.words.pow(2).sum(-1)
        squares = contents[labeled] ** 2
        shares = squares / squares.sum(-1, keepdim=True)
        regression = mse_loss(output, words + self.image_token)
        return regression + CLASSIFICATION * cross_entropy(SHARPNESS * found, shares)


def _fit(
    tower: Any,
    pixels: torch.Tensor,
    grid: torch.Tensor,
    targets: _Targets,
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
        output = tower(pixels[chosen].flatten(0, 1), grid_thw=grid.repeat(BATCH, 1)).pooler_output
        loss = targets.loss(output.view(BATCH, -1, output.shape[-1]), chosen)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        report(step, loss.item())


def _rate(step: int, steps: int) -> float:
    """Return the learning-rate factor: linear warm-up, then a cosine down to the floor."""
    decay = FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * step / steps)) / 2
    return min(1.0, (step + 1) / WARM_UP) * decay
