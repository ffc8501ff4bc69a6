"""Exact pixel values of a map in an eighth of their memory.

An image processor computes fp32 values from a map's 8-bit colors, each value from one color, and
writes every patch twice (a still image counts as two frames). A map of 16,000 visual tokens takes
291 MiB in that form and 36 MiB here: the 8-bit colors in the processor's order, and a table from
colors to values. Both are taken from the processor itself, run with and without its arithmetic, so
the result is bit-exact. A processor for which this does not hold keeps its fp32 output.
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
"""Function of an image and options of the processor that returns ``pixel_values``."""

COLORS = 256
_PROBE_SIDE = 448
_NO_ARITHMETIC = {"do_rescale": False, "do_normalize": False}


@dataclass(frozen=True, slots=True)
class ColorTable:
    """The values that a processor computes from 8-bit colors."""

    values: np.ndarray
    """fp32, channels × 256."""
    frames: int
    """How often each patch is written."""
    scales: tuple[tuple[float, float], ...] | None = None
    """Mean and deviation of each channel in units of colors, if ``(color - mean) / deviation`` in
    fp32 reproduces the table bit by bit. That is several times faster than the look-up."""

    def codes(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the colors of one frame: patches × channels × pixels per patch, uint8."""
        return self._split(raw)[:, :, 0].contiguous()

    def repeats(self, raw: torch.Tensor) -> bool:
        """Return whether all frames are equal."""
        split = self._split(raw)
        return all(torch.equal(split[:, :, 0], split[:, :, one]) for one in range(1, self.frames))

    def _split(self, values: torch.Tensor) -> torch.Tensor:
        return values.view(len(values), len(self.values), self.frames, -1)

    def width(self, codes: torch.Tensor) -> int:
        """Return the number of values per patch in the processor's output."""
        return self.frames * codes[0].numel()

    def write(self, codes: torch.Tensor, output: torch.Tensor) -> None:
        """Write the processor's output, patches × ``width``, into a contiguous fp32 tensor.

        The values are computed on the output's device, to which only the codes are sent.
        """
        codes = codes.to(output.device)
        split = self._split(output)
        for channel in range(len(self.values)):
            first = split[:, channel, 0]
            # A GPU divides by multiplying with the reciprocal, which is not exact; it looks up.
            if self.scales is None or output.device.type != "cpu":
                table = torch.from_numpy(self.values[channel]).to(output.device)
                found = table.index_select(0, codes[:, channel].flatten().int())
                first.copy_(found.view_as(first))
            else:
                mean, deviation = self.scales[channel]
                torch.sub(codes[:, channel], mean, out=first)
                first.div_(deviation)
            split[:, channel, 1:] = split[:, channel, :1]


@dataclass(frozen=True, slots=True)
class Patches:
    """``pixel_values`` of one image: colors with a table, or the processor's own output."""

    stored: torch.Tensor
    table: ColorTable | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of ``pixel_values``."""
        width = self.table.width(self.stored) if self.table else self.stored.shape[1]
        return len(self.stored), width

    @property
    def dtype(self) -> torch.dtype:
        """Type of ``pixel_values``."""
        return torch.float32 if self.table else self.stored.dtype

    def write(self, output: torch.Tensor) -> None:
        """Write ``pixel_values`` into a contiguous tensor of their shape and type."""
        if self.table:
            self.table.write(self.stored, output)
        else:
            output.copy_(self.stored)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.stored.nbytes


def make_patches(process: Process, table: ColorTable | None, image: Image.Image) -> Patches:
    """Process an image and return its pixels in the smallest exact form."""
    if table is not None:
        raw = process(image, **_NO_ARITHMETIC)
        if raw.dtype == torch.uint8 and table.repeats(raw):
            return Patches(table.codes(raw), table)
    return Patches(process(image))


def color_table(processor: Any, process: Process) -> ColorTable | None:
    """Determine a processor's table with an image that contains every color.

    Returns:
        ``None`` if the output is not a function of single colors, or its order is unknown.
    """
    patch = getattr(processor, "patch_size", None)
    frames = getattr(processor, "temporal_patch_size", None)
    if not (isinstance(patch, int) and isinstance(frames, int)):
        return None
    probe = _every_color()
    raw, values = process(probe, **_NO_ARITHMETIC), process(probe)
    channels = raw.shape[-1] // (frames * patch**2)
    if raw.dtype != torch.uint8 or values.dtype != torch.float32 or channels < 1:
        return None
    table = ColorTable(np.full((channels, COLORS), np.nan, np.float32), frames)
    for channel in range(channels):
        colors = table._split(raw)[:, channel].flatten().numpy()
        table.values[channel][colors] = table._split(values)[:, channel].flatten().numpy()
    table = replace(table, scales=_scales(processor, table.values))
    again = torch.empty_like(values)
    table.write(table.codes(raw), again)
    is_exact = table.repeats(raw) and torch.equal(again, values)
    return table if is_exact and not np.isnan(table.values).any() else None


def _scales(processor: Any, values: np.ndarray) -> tuple[tuple[float, float], ...] | None:
    """Return mean and deviation of each channel as torchvision rounds them, if they are exact."""
    settings = [getattr(processor, name, None) for name in ("image_mean", "image_std")]
    factor = getattr(processor, "rescale_factor", None)
    if not factor or any(value is None or len(value) != len(values) for value in settings):
        return None
    means, deviations = (torch.tensor(value) * (1.0 / factor) for value in settings)
    colors = torch.arange(COLORS, dtype=torch.uint8)
    for mean, deviation, row in zip(means, deviations, values, strict=True):
        computed = torch.sub(colors, mean.item()).div_(deviation.item())
        if not torch.equal(computed, torch.from_numpy(row)):
            return None
    return tuple(zip(means.tolist(), deviations.tolist(), strict=True))


def _every_color() -> Image.Image:
    """Return an image with every value of each channel and no two equal neighbors."""
    down, across, channel = np.indices((_PROBE_SIDE, _PROBE_SIDE, 3))
    return Image.fromarray(((31 * down + 7 * across + 85 * channel) % COLORS).astype(np.uint8))
