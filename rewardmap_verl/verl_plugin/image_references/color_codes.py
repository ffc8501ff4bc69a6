"""The pixels of a map as a model reads them, held in an eighth of their bytes, exactly.

A processor makes fp32 numbers of a map's 8-bit colors, each by itself, and writes every patch
twice (a still image stands for two frames). A map of 16,000 visual tokens takes 291 MiB that way
and 36 MiB here: the 8-bit colors in the processor's order, and a table from a color to its
number. Both come from the processor itself, run without and with its arithmetic, so the result is
the processor's own to the last bit; a processor to which this does not apply keeps its fp32 output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

__all__ = ["ColorTable", "Patches", "color_table", "make_patches"]

Process = Callable[..., torch.Tensor]
"""Image and further options of the processor → ``pixel_values``."""

COLORS = 256
_PROBE_SIDE = 448
_UNCHANGED = {"do_rescale": False, "do_normalize": False}


@dataclass(frozen=True, slots=True)
class ColorTable:
    """What a processor's arithmetic makes of a color."""

    numbers: np.ndarray
    """fp32, channels × 256."""
    frames: int
    """How often a patch is written."""
    scales: tuple[tuple[float, float], ...] | None = None
    """Mean and deviation of each channel, in colors, where ``(color - mean) / deviation`` in fp32
    is the table to the last bit: a few times faster than looking every color up."""

    def codes(self, raw: torch.Tensor) -> torch.Tensor:
        """Colors of patches, each frame once: patches × channels × pixels of a patch, uint8."""
        return self._split(raw)[:, :, 0].contiguous()

    def repeats(self, raw: torch.Tensor) -> bool:
        """Whether all frames are the same."""
        split = self._split(raw)
        return all(torch.equal(split[:, :, 0], split[:, :, one]) for one in range(1, self.frames))

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        return values.view(len(values), len(self.numbers), self.frames, -1)

    def width(self, codes: torch.Tensor) -> int:
        """Numbers of a patch in the processor's output."""
        return self.frames * codes[0].numel()

    def write(self, codes: torch.Tensor, output: torch.Tensor) -> None:
        """Write the processor's output: patches × :meth:`width`, fp32, contiguous."""
        values = self._split(output)
        for channel in range(len(self.numbers)):
            first = values[:, channel, 0]
            if self.scales is None:
                table = torch.from_numpy(self.numbers[channel])
                first.copy_(table[codes[:, channel].long()])
            else:
                mean, deviation = self.scales[channel]
                torch.sub(codes[:, channel], mean, out=first)
                first.div_(deviation)
            values[:, channel, 1:] = values[:, channel, :1]


@dataclass(frozen=True, slots=True)
class Patches:
    """``pixel_values`` of one image: colors with a table, or the processor's own output."""

    kept: torch.Tensor
    table: ColorTable | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Of ``pixel_values``."""
        width = self.table.width(self.kept) if self.table else self.kept.shape[1]
        return len(self.kept), width

    @property
    def dtype(self) -> torch.dtype:
        """Of ``pixel_values``."""
        return torch.float32 if self.table else self.kept.dtype

    def write(self, output: torch.Tensor) -> None:
        """Write ``pixel_values`` into a contiguous tensor of their shape and type."""
        if self.table:
            self.table.write(self.kept, output)
        else:
            output.copy_(self.kept)

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.kept.nbytes


def make_patches(process: Process, table: ColorTable | None, image: Image.Image) -> Patches:
    """Process an image once, and keep as little of it as gives the same."""
    if table is not None:
        raw = process(image, **_UNCHANGED)
        if raw.dtype == torch.uint8 and table.repeats(raw):
            return Patches(table.codes(raw), table)
    return Patches(process(image))


def color_table(processor: Any, process: Process) -> ColorTable | None:
    """Find a processor's table with an image that has every color.

    Returns:
        ``None`` where its output is no function of single colors, or its order is unknown.
    """
    patch = getattr(processor, "patch_size", None)
    frames = getattr(processor, "temporal_patch_size", None)
    if not (isinstance(patch, int) and isinstance(frames, int)):
        return None
    probe = _every_color()
    raw, values = process(probe, **_UNCHANGED), process(probe)
    channels = raw.shape[-1] // (frames * patch**2)
    if raw.dtype != torch.uint8 or values.dtype != torch.float32 or channels < 1:
        return None
    table = ColorTable(np.full((channels, COLORS), np.nan, np.float32), frames)
    for channel in range(channels):
        colors = table._split(raw)[:, channel].flatten().numpy()
        table.numbers[channel][colors] = table._split(values)[:, channel].flatten().numpy()
    table = replace(table, scales=_scales(processor, table.numbers))
    again = torch.empty_like(values)
    table.write(table.codes(raw), again)
    exact = table.repeats(raw) and torch.equal(again, values)
    return table if exact and not np.isnan(table.numbers).any() else None


def _scales(processor: Any, numbers: np.ndarray) -> tuple[tuple[float, float], ...] | None:
    """Mean and deviation of each channel as torchvision rounds them, if they give the table."""
    settings = [getattr(processor, name, None) for name in ("image_mean", "image_std")]
    factor = getattr(processor, "rescale_factor", None)
    if not factor or any(value is None or len(value) != len(numbers) for value in settings):
        return None
    means, deviations = (torch.tensor(value) * (1.0 / factor) for value in settings)
    colors = torch.arange(COLORS, dtype=torch.uint8)
    for mean, deviation, row in zip(means, deviations, numbers, strict=True):
        made = torch.sub(colors, mean.item()).div_(deviation.item())
        if not torch.equal(made, torch.from_numpy(row)):
            return None
    return tuple(zip(means.tolist(), deviations.tolist(), strict=True))


def _every_color() -> Image.Image:
    """A picture with each value of each channel, and no two neighbors alike in any direction."""
    down, across, channel = np.indices((_PROBE_SIDE, _PROBE_SIDE, 3))
    return Image.fromarray(((31 * down + 7 * across + 85 * channel) % COLORS).astype(np.uint8))
