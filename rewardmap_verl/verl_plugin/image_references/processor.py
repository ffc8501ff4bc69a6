"""The model's processor, with pixel references in place of pixels for prepared images."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any

import torch
from transformers import BatchFeature
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from rewardmap_verl.verl_plugin.image_references.byte_cache import byte_cache
from rewardmap_verl.verl_plugin.image_references.crop_source import Source
from rewardmap_verl.verl_plugin.image_references.pixel_reference import (
    PixelReference,
    ProcessorSpec,
)
from rewardmap_verl.verl_plugin.image_references.prepared_image import PreparedImage

__all__ = ["refer_to_pixels"]

PIXELS = "pixel_values"
_SIDE_OUTPUT_BYTES = 16 * 2**20
_TEXT_BYTES = 64 * 2**20  # a prompt of 16,000 tokens takes half a megabyte
_OUTPUTS = "_rewardmap_outputs"


class ReferencingImageProcessor:
    """Mixin for an image processor: prepared images give references instead of pixels."""

    def __call__(self, images: Any, *args: Any, **kwargs: Any) -> BatchFeature:
        """Process images; prepared ones give a ``PixelReference`` for their pixels."""
        found = tuple(flatten(images))
        if args or not are_prepared(found) or not are_scalars(kwargs):
            return super().__call__(images, *args, **kwargs)  # type: ignore[misc]
        spec = ProcessorSpec.of(self, original_class(self), kwargs)
        sources = tuple(image.source for image in found)
        grid = grid_of(self, sources)
        others = {"image_grid_thw": grid} if grid is not None else side_outputs(spec, sources)
        return BatchFeature({PIXELS: PixelReference(sources, spec), **others})


class CachingProcessor:
    """Mixin for a model's processor: a text with its maps is processed once.

    In verl 0.9.1 each rollout of a group processes the same prompt, and then its prompt with its
    answer twice, for the reward and for the queue.
    """

    def __call__(self, images: Any = None, text: Any = None, **kwargs: Any) -> BatchFeature:
        """Process images and text, from the cache where all images are prepared."""
        found, texts = tuple(flatten(images)), tuple(flatten(text))
        options = {key: value for key, value in kwargs.items() if value is not None}
        if not (
            found
            and are_prepared(found)
            and all(isinstance(one, str) for one in texts)
            and are_scalars(options)
        ):
            return super().__call__(images=images, text=text, **kwargs)  # type: ignore[misc]
        key = (texts, tuple(image.source for image in found), tuple(sorted(options.items())))
        output = self.__dict__[_OUTPUTS](
            key,
            lambda: super(CachingProcessor, self).__call__(images=images, text=text, **kwargs),  # type: ignore[misc]
        )
        return BatchFeature(dict(output))  # a copy: verl removes entries from it


def refer_to_pixels(processor: Any) -> None:
    """Make a model's processor return pixel references and cache texts. Idempotent.

    verl's agent loops and the worker that runs them share one processor. Per rollout it is used
    once for the prompt's tokens and twice for its pixels.
    """
    inner = getattr(processor, "image_processor", None)
    if inner is None or isinstance(inner, ReferencingImageProcessor):
        return
    referencing: Any = _subclass(ReferencingImageProcessor, "Referencing", type(inner))  # type: ignore[arg-type]
    changed = referencing.__new__(referencing)
    changed.__dict__.update(inner.__dict__)
    processor.image_processor = changed
    processor.__dict__[_OUTPUTS] = byte_cache(_TEXT_BYTES, output_bytes)
    processor.__class__ = _subclass(CachingProcessor, "", type(processor))  # type: ignore[arg-type]


@cache
def _subclass(mixin: Hashable, prefix: str, kind: Hashable) -> type:
    """Return a subclass of ``kind`` with a mixin; verl and transformers check class names."""
    assert isinstance(mixin, type)
    assert isinstance(kind, type)
    return type(f"{prefix}{kind.__name__}", (mixin, kind), {"__module__": kind.__module__})


def output_bytes(output: BatchFeature) -> int:
    """Return the size of a processor's output: tensors, and lists of token ids."""
    return sum(
        value.nbytes if isinstance(value, torch.Tensor) else 64 * (1 + sum(map(len, rows(value))))
        for value in output.values()
    )


def rows(value: Any) -> list[Any]:
    """Return the lists in a list; empty for anything else."""
    return [one for one in value if isinstance(one, list)] if isinstance(value, list) else []


def original_class(processor: Any) -> type:
    """Return the class that transformers gave the processor."""
    return next(
        kind for kind in type(processor).__mro__[1:] if kind is not ReferencingImageProcessor
    )


def flatten(images: Any) -> Iterator[Any]:
    """Yield the images of arbitrarily nested lists in order."""
    if isinstance(images, (list, tuple)):
        for one in images:
            yield from flatten(one)
    else:
        yield images


def are_prepared(images: tuple[Any, ...]) -> bool:
    """Return whether all images are prepared files."""
    return all(isinstance(one, PreparedImage) for one in images)


def are_scalars(options: dict[str, Any]) -> bool:
    """Return whether all options are numbers, strings, booleans or ``None``."""
    return all(
        value is None or isinstance(value, (bool, int, float, str)) for value in options.values()
    )


def grid_of(processor: Any, sources: tuple[Source, ...]) -> torch.Tensor | None:
    """Return ``image_grid_thw`` of prepared images without decoding them.

    Returns:
        Images × (1, patches down, patches across). ``None`` if the processor is of another family
        or would resize an image.
    """
    if not isinstance(processor, Qwen2VLImageProcessor):
        return None
    side = processor.patch_size
    unit = side * processor.merge_size
    grid = []
    for width, height in (source.size() for source in sources):
        across, down = width // side, height // side
        is_aligned = width % unit == height % unit == 0
        if (
            not is_aligned
            or processor.get_number_of_image_patches(height, width, {}) != across * down
        ):
            return None
        grid.append([1, down, across])
    return torch.tensor(grid, dtype=torch.long)


def side_outputs(spec: ProcessorSpec, sources: tuple[Source, ...]) -> dict[str, Any]:
    """Return a processor's outputs other than pixels, computed once per process."""
    return dict(_side_output_cache()((spec, sources), lambda: _side_outputs(spec, sources)))


def _side_outputs(spec: ProcessorSpec, sources: tuple[Source, ...]) -> dict[str, Any]:
    output = spec.run([source.image() for source in sources])
    return {key: value for key, value in output.items() if key != PIXELS}


@cache
def _side_output_cache() -> Any:
    return byte_cache(
        _SIDE_OUTPUT_BYTES,
        lambda output: sum(getattr(value, "nbytes", 64) for value in output.values()),
    )
