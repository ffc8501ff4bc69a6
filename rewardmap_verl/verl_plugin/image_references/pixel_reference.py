"""``pixel_values`` that travel as paths and are computed where a model needs them.

verl's agent loop gives every trajectory its own tensor: 305 MB in fp32 for 16,000 visual tokens. It
is sent to a storage process, and from there to every worker for each of three passes. A
``PixelReference`` takes its place in ``multi_modal_inputs``. verl assembles a micro-batch with
``torch.cat`` (``extract_multi_modal_inputs`` in ``verl/utils/model.py``), and torch dispatches that
call to any class with ``__torch_function__``. Only then are the pixels computed, for one
micro-batch at a time, and on the process's GPU if it has one: their 8-bit codes are sent there, an
eighth of the tensor.
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

from rewardmap_verl.verl_plugin.image_references.byte_cache import byte_cache
from rewardmap_verl.verl_plugin.image_references.color_codes import (
    ColorTable,
    Patches,
    color_table,
    make_patches,
)
from rewardmap_verl.verl_plugin.image_references.crop_source import Source

__all__ = ["PixelReference", "ProcessorSpec", "patch_cache"]


@dataclass(frozen=True, slots=True)
class ProcessorSpec:
    """How to build a model's image processor, and the arguments that verl calls it with."""

    kind: str
    """``module:class``."""
    settings: str
    """Settings of the processor as JSON."""
    options: tuple[tuple[str, Any], ...] = ()
    """Keyword arguments of the call."""

    @classmethod
    def of(cls, processor: Any, kind: type, options: dict[str, Any]) -> ProcessorSpec:
        """Describe an image processor of transformers, to be built as class ``kind``."""
        settings = json.dumps(processor.to_dict(), sort_keys=True)
        return cls(
            f"{kind.__module__}:{kind.__qualname__}", settings, tuple(sorted(options.items()))
        )

    def run(self, images: list[Image.Image]) -> Any:
        """Return the processor's output for ``images``."""
        return _processor(self.kind, self.settings)(images, **dict(self.options))

    def patches(self, source: Source) -> Patches:
        """Return the pixels of one image in the smallest form that reproduces them exactly."""
        return make_patches(self._pixel_values, _table(self), source.decode())

    def _pixel_values(self, image: Image.Image, **options: Any) -> torch.Tensor:
        processor = _processor(self.kind, self.settings)
        output = processor([image], **{**dict(self.options), **options})
        values: torch.Tensor = output["pixel_values"]
        return values


class PixelReference:
    """Placeholder for the ``pixel_values`` of a prompt until a torch function is called on it."""

    __slots__ = ("sources", "spec")

    def __init__(self, sources: tuple[Source, ...], spec: ProcessorSpec) -> None:
        self.sources = sources
        self.spec = spec

    def tensor(self) -> torch.Tensor:
        """Return the pixels as a new tensor, patches × values per patch."""
        return concatenate([self])

    def patches(self) -> list[Patches]:
        """Return the cached patches of each image."""
        return [self._patches_of(source) for source in self.sources]

    def _patches_of(self, source: Source) -> Patches:
        cached = patch_cache(source.cache_bytes)
        patches: Patches = cached((source, self.spec), lambda: self.spec.patches(source))
        return patches

    @property
    def shape(self) -> torch.Size:
        """Patches × values per patch."""
        shapes = [patches.shape for patches in self.patches()]
        return torch.Size((sum(rows for rows, _ in shapes), shapes[0][1]))

    def to(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the pixels on another device or with another dtype, as ``Tensor.to``."""
        return self.tensor().to(*args, **kwargs)

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a torch function with tensors in place of the references."""
        if function is torch.cat and _is_cat_of_references(*args, **(kwargs or {})):
            return concatenate(args[0], torch.accelerator.current_accelerator(check_available=True))

        def tensor_of(value: Any) -> Any:
            return value.tensor() if isinstance(value, PixelReference) else value

        return function(*tree_map(tensor_of, args), **tree_map(tensor_of, kwargs or {}))

    def __reduce__(self) -> Any:
        return PixelReference, (self.sources, self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelReference) and (self.sources, self.spec) == (
            other.sources,
            other.spec,
        )

    def __hash__(self) -> int:
        return hash((self.sources, self.spec))

    def __repr__(self) -> str:
        return f"PixelReference({', '.join(source.path for source in self.sources)})"


def concatenate(
    references: Sequence[PixelReference], device: torch.device | None = None
) -> torch.Tensor:
    """Return the pixels of several prompts as one tensor, each part written once.

    Rollouts of one prompt have equal references; the second is copied from the first.

    Args:
        references: The prompts, in order.
        device: Device of the tensor; ``None`` for the CPU.
    """
    parts = [patches for reference in references for patches in reference.patches()]
    rows = [patches.shape[0] for patches in parts]
    shape = sum(rows), parts[0].shape[1]
    output = torch.empty(shape, dtype=parts[0].dtype, device=device)
    written: dict[int, torch.Tensor] = {}
    for patches, target in zip(parts, output.split(rows), strict=True):
        if id(patches) in written:
            target.copy_(written[id(patches)])
        else:
            patches.write(target)
            written[id(patches)] = target
    return output


def _is_cat_of_references(tensors: Any, dim: int = 0, **others: Any) -> bool:
    """Return whether a call of ``torch.cat`` is the one that assembles a micro-batch."""
    return not others and dim == 0 and all(isinstance(one, PixelReference) for one in tensors)


@cache
def patch_cache(limit: int) -> Any:
    """Return this process's cache of patches (``byte_cache``).

    A run has one limit, so a process has one cache.
    """
    return byte_cache(limit, lambda patches: patches.nbytes)


@cache
def _table(spec: ProcessorSpec) -> ColorTable | None:
    return color_table(_processor(spec.kind, spec.settings), spec._pixel_values)


@cache
def _processor(kind: str, settings: str) -> Any:
    module, _, name = kind.partition(":")
    return getattr(import_module(module), name).from_dict(json.loads(settings))
