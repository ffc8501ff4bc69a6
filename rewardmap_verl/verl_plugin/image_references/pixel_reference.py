"""``pixel_values`` that are computed where a model needs them, and travel as paths.

verl's agent loop gives every trajectory its own tensor: 305 MB in fp32 for 16,000 visual tokens,
which it sends to a storage process and from there to every worker, for each of three passes. A
:class:`PixelReference` takes its place in ``multi_modal_inputs``. verl makes a micro-batch of those
with ``torch.cat`` (``verl/utils/model.py: extract_multi_modal_inputs``), which torch lets any class
take part in that has ``__torch_function__``: there, and not before, the pixels come into being, for
one micro-batch at a time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import torch
from PIL import Image
from torch.utils._pytree import tree_map

from rewardmap_verl.verl_plugin.image_references.cache import ByteCache
from rewardmap_verl.verl_plugin.image_references.color_codes import (
    ColorTable,
    Patches,
    color_table,
    make_patches,
)
from rewardmap_verl.verl_plugin.image_references.image_source import ImageSource

__all__ = ["PixelReference", "ProcessorRecipe", "kept_patches"]


@dataclass(frozen=True, slots=True)
class ProcessorRecipe:
    """How to build the image processor of a model, and how verl calls it."""

    kind: str
    """``module:class``."""
    settings: str
    """Its settings as JSON."""
    options: tuple[tuple[str, Any], ...] = ()
    """Arguments of the call."""

    @classmethod
    def of(cls, processor: Any, kind: type, options: dict[str, Any]) -> ProcessorRecipe:
        """Describe a processor of transformers, taken for one of class ``kind``."""
        settings = json.dumps(processor.to_dict(), sort_keys=True)
        return cls(
            f"{kind.__module__}:{kind.__qualname__}", settings, tuple(sorted(options.items()))
        )

    def run(self, images: list[Image.Image]) -> Any:
        """The processor's whole output."""
        return _processor(self.kind, self.settings)(images, **dict(self.options))

    def patches(self, source: ImageSource) -> Patches:
        """The pixels of one image, as few bytes as give the processor's output."""
        return make_patches(self._pixel_values, _table(self), source.decode())

    def _pixel_values(self, image: Image.Image, **options: Any) -> torch.Tensor:
        processor = _processor(self.kind, self.settings)
        output = processor([image], **{**dict(self.options), **options})
        values: torch.Tensor = output["pixel_values"]
        return values


class PixelReference:
    """Stands for the ``pixel_values`` of a prompt until a torch function is called on them."""

    __slots__ = ("recipe", "sources")

    def __init__(self, sources: tuple[ImageSource, ...], recipe: ProcessorRecipe) -> None:
        self.sources = sources
        self.recipe = recipe

    def tensor(self) -> torch.Tensor:
        """The pixels, a new tensor; the process keeps what makes them (``data.images``)."""
        return joined([self])

    def parts(self) -> list[Patches]:
        """What the process keeps of each image."""
        return [self._part(source) for source in self.sources]

    def _part(self, source: ImageSource) -> Patches:
        cache_of_process = kept_patches(source.cache_bytes)
        return cache_of_process.get((source, self.recipe), lambda: self.recipe.patches(source))

    @property
    def shape(self) -> torch.Size:
        """Patches × numbers of a patch."""
        shapes = [part.shape for part in self.parts()]
        return torch.Size((sum(rows for rows, _ in shapes), shapes[0][1]))

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The pixels on another device or of another type, as for a tensor."""
        return self.tensor().to(*args, **kwargs)

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a torch function with the pixels in place of the references."""
        if function is torch.cat and _joins_references(*args, **(kwargs or {})):
            return joined(args[0])

        def tensor_of(value: Any) -> Any:
            return value.tensor() if isinstance(value, PixelReference) else value

        return function(*tree_map(tensor_of, args), **tree_map(tensor_of, kwargs or {}))

    def __reduce__(self) -> Any:
        return PixelReference, (self.sources, self.recipe)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelReference) and (self.sources, self.recipe) == (
            other.sources,
            other.recipe,
        )

    def __hash__(self) -> int:
        return hash((self.sources, self.recipe))

    def __repr__(self) -> str:
        return f"PixelReference({', '.join(source.path for source in self.sources)})"


def joined(references: Sequence[PixelReference]) -> torch.Tensor:
    """The pixels of several prompts, one after the other, written once into one tensor.

    Rollouts of a prompt have equal references: the second one is copied from the first.
    """
    parts = [part for reference in references for part in reference.parts()]
    rows = [part.shape[0] for part in parts]
    output = torch.empty((sum(rows), parts[0].shape[1]), dtype=parts[0].dtype)
    written: dict[int, torch.Tensor] = {}
    for part, place in zip(parts, output.split(rows), strict=True):
        if id(part) in written:
            place.copy_(written[id(part)])
        else:
            part.write(place)
            written[id(part)] = place
    return output


def _joins_references(tensors: Any, dim: int = 0, **others: Any) -> bool:
    """Whether a call of ``torch.cat`` is the one that makes a micro-batch."""
    return not others and dim == 0 and all(isinstance(one, PixelReference) for one in tensors)


@cache
def kept_patches(limit: int) -> ByteCache[Patches]:
    """The pixels that this process keeps; a run has one limit, so a process has one cache."""
    return ByteCache(limit, lambda patches: patches.nbytes)


@cache
def _table(recipe: ProcessorRecipe) -> ColorTable | None:
    return color_table(_processor(recipe.kind, recipe.settings), recipe._pixel_values)


@cache
def _processor(kind: str, settings: str) -> Any:
    module, _, name = kind.partition(":")
    return getattr(import_module(module), name).from_dict(json.loads(settings))
