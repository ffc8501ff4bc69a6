"""Reading a large PNG in horizontal strips, to limit memory.

Pillow decodes a PNG at once with four bytes per pixel: the largest map of ReasonMap (14,032 x
19,843) takes 1.1 GB. libvips decodes the rows as they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

__all__ = ["read_strips"]

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_STRIP_PIXELS = 1_000_000


def read_strips(path: Path) -> Iterator[Image.Image] | None:
    """Return the strips of a PNG of full width, from top to bottom; decoded when iterated.

    Palettes and transparent colors become RGB and RGBA.

    Returns:
        ``None`` for a PNG that has to be decoded at once: with 16 bits per channel, or interlaced.

    Raises:
        ValueError: The file is truncated or damaged; some faults appear during the iteration.
    """
    import pyvips  # starts threads, so it is imported only where it is used

    try:
        image = pyvips.Image.pngload(str(path), access="sequential", fail_on="warning")
    except pyvips.Error:
        raise _damaged() from None
    if image.format != "uchar" or image.get_typeof("interlaced"):
        return None
    return _strips(image, pyvips)


def _strips(image: Any, pyvips: ModuleType) -> Iterator[Image.Image]:
    # A region is computed in this thread: several threads would read the rows out of order.
    region = pyvips.Region.new(image)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        size = (image.width, min(rows, image.height - top))
        try:
            pixels = region.fetch(0, top, *size)
        except pyvips.Error:
            raise _damaged() from None
        yield Image.frombytes(_MODES[image.bands], size, pixels)


def _damaged() -> ValueError:
    return ValueError("the file ends too early, or a checksum or its compressed data is wrong")
