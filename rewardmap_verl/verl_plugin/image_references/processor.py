"""The model's image processor, with references in place of pixels where an image allows it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

import torch
from transformers import BatchFeature
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from rewardmap_verl.verl_plugin.image_references.cache import ByteCache
from rewardmap_verl.verl_plugin.image_references.image_source import ImageSource
from rewardmap_verl.verl_plugin.image_references.pixel_reference import (
    PixelReference,
    ProcessorRecipe,
)
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage

__all__ = ["refer_to_pixels"]

PIXELS = "pixel_values"
_SIDE_OUTPUT_BYTES = 16 * 2**20
_TEXT_BYTES = 64 * 2**20  # a prompt of 16,000 tokens takes half a megabyte
_REMEMBERED = "_rewardmap_outputs"


class RefersToPixels:
    """Mixed into the class of an image processor: prepared images give references to pixels."""

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """As the processor's own, with a :class:`PixelReference` where all images are prepared."""
        found = tuple(flat(images))
        if args or not all(isinstance(one, PreparedImage) for one in found) or not plain(kwargs):
            return super().__call__(images, *args, **kwargs)  # type: ignore[misc]
        recipe = ProcessorRecipe.of(self, own_class(self), kwargs)
        sources = tuple(image.source for image in found)
        grid = grid_of(self, sources)
        others = {"image_grid_thw": grid} if grid is not None else side_outputs(recipe, sources)
        return BatchFeature({PIXELS: PixelReference(sources, recipe), **others})


class RemembersTexts:
    """Mixed into the class of a model's processor: a text with its maps is processed once.

    verl 0.9.1 has each rollout of a group process the same prompt, and then its prompt with its
    answer twice, for the reward and for the queue.
    """

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """As the processor's own."""
        found, texts = tuple(flat(images)), tuple(flat(text))
        options = {key: value for key, value in kwargs.items() if value is not None}
        if not (
            found
            and all(isinstance(one, PreparedImage) for one in found)
            and all(isinstance(one, str) for one in texts)
            and plain(options)
        ):
            return super().__call__(images=images, text=text, **kwargs)  # type: ignore[misc]
        key = (texts, tuple(image.source for image in found), tuple(sorted(options.items())))
        outputs: ByteCache[BatchFeature] = self.__dict__[_REMEMBERED]
        output = outputs.get(
            key,
            lambda: super(RemembersTexts, self).__call__(images=images, text=text, **kwargs),  # type: ignore[misc]
        )
        return BatchFeature(dict(output))  # verl takes parts out of what it gets


def refer_to_pixels(processor: Any) -> None:
    """Let a model's processor refer to pixels, and remember texts; a second call does nothing.

    verl's agent loops and the worker that runs them share one processor, which is used for a
    prompt's tokens once and for its pixels twice per rollout.
    """
    inner = getattr(processor, "image_processor", None)
    if inner is None or isinstance(inner, RefersToPixels):
        return
    referring: Any = _behind(RefersToPixels, "Referring", type(inner))  # type: ignore[arg-type]
    changed = referring.__new__(referring)
    changed.__dict__.update(inner.__dict__)
    processor.image_processor = changed
    processor.__dict__[_REMEMBERED] = ByteCache(_TEXT_BYTES, output_bytes)
    processor.__class__ = _behind(RemembersTexts, "", type(processor))  # type: ignore[arg-type]


@cache
def _behind(ours: Hashable, prefix: str, kind: Hashable) -> type:
    """A class of a like name behind ours: verl and transformers look at names of classes."""
    assert isinstance(ours, type)
    assert isinstance(kind, type)
    return type(f"{prefix}{kind.__name__}", (ours, kind), {"__module__": kind.__module__})


def output_bytes(output: BatchFeature) -> int:
    """Bytes of a processor's output: tensors, and lists of token ids."""
    return sum(
        value.nbytes if isinstance(value, torch.Tensor) else 64 * (1 + sum(map(len, rows(value))))
        for value in output.values()
    )


def rows(value: Any) -> list[Any]:
    """Lists in a list."""
    return [one for one in value if isinstance(one, list)] if isinstance(value, list) else []


def own_class(processor: Any) -> type:
    """The class that transformers made the processor of."""
    return next(kind for kind in type(processor).__mro__[1:] if kind is not RefersToPixels)


def flat(images: Any) -> Iterator[Any]:
    """Images of any nesting of lists, in order."""
    if isinstance(images, (list, tuple)):
        for one in images:
            yield from flat(one)
    else:
        yield images


def plain(options: dict[str, Any]) -> bool:
    """Whether arguments can be sent along: numbers, words and nothing else."""
    return all(
        value is None or isinstance(value, (bool, int, float, str)) for value in options.values()
    )


def grid_of(processor: Any, sources: tuple[ImageSource, ...]) -> torch.Tensor | None:
    """``image_grid_thw`` of prepared images without their pixels: 1, patches down, patches across.

    Returns:
        ``None`` where the processor is of another family, or would resize an image.
    """
    if not isinstance(processor, Qwen2VLImageProcessor):
        return None
    side = processor.patch_size
    rows = []
    for width, height in (source.size() for source in sources):
        across, down = width // side, height // side
        whole = width % (side * processor.merge_size) == height % (side * processor.merge_size) == 0
        if not whole or processor.get_number_of_image_patches(height, width, {}) != across * down:
            return None
        rows.append([1, down, across])
    return torch.tensor(rows, dtype=torch.long)


def side_outputs(recipe: ProcessorRecipe, sources: tuple[ImageSource, ...]) -> dict[str, Any]:
    """What a processor gives beside pixels, computed once per process; small."""
    return dict(_side_outputs().get((recipe, sources), lambda: _compute_side(recipe, sources)))


def _compute_side(recipe: ProcessorRecipe, sources: tuple[ImageSource, ...]) -> dict[str, Any]:
    output = recipe.run([source.image() for source in sources])
    return {key: value for key, value in output.items() if key != PIXELS}


@cache
def _side_outputs() -> ByteCache[dict[str, Any]]:
    return ByteCache(
        _SIDE_OUTPUT_BYTES,
        lambda output: sum(getattr(value, "nbytes", 64) for value in output.values()),
    )
