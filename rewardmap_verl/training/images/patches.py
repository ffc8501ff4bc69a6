"""The pixels of a map as a model reads them, held in an eighth of their bytes, exactly.

A processor makes fp32 numbers of a map's 8-bit colours, each by itself, and writes every patch
twice (a still image stands for two frames). A map of 16,000 visual tokens takes 291 MiB that way
and 36 MiB here: the 8-bit colours in the processor's order, and a table from a colour to its
number. Both come from the processor itself, run without and with its arithmetic, so the result is
the processor's own to the last bit; a processor to which this does not apply keeps its fp32 output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

__all__ = ["ColourTable", "Patches", "colour_table", "make_patches"]

Process = Callable[..., torch.Tensor]
"""Image and further options of the processor → ``pixel_values``."""

COLOURS = 256
_PROBE_SIDE = 448
_UNCHANGED = {"do_rescale": False, "do_normalize": False}


@dataclass(frozen=True, slots=True)
class ColourTable:
    """What a processor's arithmetic makes of a colour."""

    numbers: np.ndarray
    """fp32, channels × 256."""
    frames: int
    """How often a patch is written."""

    def codes(self, raw: torch.Tensor) -> np.ndarray:
        """Colours of patches, each frame once: patches × channels × pixels of a patch."""
        return np.ascontiguousarray(self._split(raw)[:, :, 0])

    def repeats(self, raw: torch.Tensor) -> bool:
        """Whether all frames are the same."""
        split = self._split(raw)
        return all((split[:, :, 0] == split[:, :, frame]).all() for frame in range(1, self.frames))

    def _split(self, values: torch.Tensor) -> np.ndarray:
        channels = len(self.numbers)
        return values.numpy().reshape(len(values), channels, self.frames, -1)

    def expand(self, codes: np.ndarray) -> torch.Tensor:
        """The processor's output: patches × (channels · frames · pixels of a patch), fp32."""
        patches, channels, pixels = codes.shape
        values = np.empty((patches, channels, self.frames, pixels), dtype=np.float32)
        for channel, numbers in enumerate(self.numbers):
            values[:, channel, 0] = numbers[codes[:, channel]]
            values[:, channel, 1:] = values[:, channel, :1]
        return torch.from_numpy(values.reshape(patches, -1))


@dataclass(frozen=True, slots=True)
class Patches:
    """``pixel_values`` of one image."""

    codes: np.ndarray | None
    table: ColourTable | None
    values: torch.Tensor | None = None
    """The processor's output, where there is no table."""

    def tensor(self) -> torch.Tensor:
        """``pixel_values``; a new tensor where it is made from the table."""
        if self.values is not None:
            return self.values
        assert self.codes is not None and self.table is not None
        return self.table.expand(self.codes)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.values.nbytes if self.values is not None else getattr(self.codes, "nbytes", 0)


def make_patches(process: Process, table: ColourTable | None, image: Image.Image) -> Patches:
    """Process an image once, and keep as little of it as gives the same."""
    if table is not None:
        raw = process(image, **_UNCHANGED)
        if raw.dtype == torch.uint8 and table.repeats(raw):
            return Patches(table.codes(raw), table)
    return Patches(None, None, process(image))


def colour_table(processor: Any, process: Process) -> ColourTable | None:
    """Find a processor's table with an image that has every colour.

    Returns:
        ``None`` where its output is no function of single colours, or its order is unknown.
    """
    patch = getattr(processor, "patch_size", None)
    frames = getattr(processor, "temporal_patch_size", None)
    if not (isinstance(patch, int) and isinstance(frames, int)):
        return None
    probe = _every_colour()
    raw, values = process(probe, **_UNCHANGED), process(probe)
    channels = raw.shape[-1] // (frames * patch**2)
    if raw.dtype != torch.uint8 or values.dtype != torch.float32 or channels < 1:
        return None
    table = ColourTable(np.full((channels, COLOURS), np.nan, np.float32), frames)
    for channel in range(channels):
        colours = table._split(raw)[:, channel].ravel()
        table.numbers[channel][colours] = table._split(values)[:, channel].ravel()
    exact = table.repeats(raw) and torch.equal(table.expand(table.codes(raw)), values)
    return table if exact and not np.isnan(table.numbers).any() else None


def _every_colour() -> Image.Image:
    """A picture with each value of each channel, and no two neighbours alike in any direction."""
    down, across, channel = np.indices((_PROBE_SIDE, _PROBE_SIDE, 3))
    return Image.fromarray(((31 * down + 7 * across + 85 * channel) % COLOURS).astype(np.uint8))
