"""Original maps beside the prepared ones, stored so that any region can be read cheaply.

The original is a tiled TIFF with halved copies of itself (a pyramid). Reading a region at any scale
decodes only the tiles under it, in the copy whose resolution is sufficient. Its name follows from
that of the prepared image, so rows need no further column.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import unfinished_file
from rewardmap_verl.preparation.images import image_format, read_whole_rgb

__all__ = ["ORIGINALS", "TILE", "original_of", "store_original"]

ORIGINALS: Final = "originals"
"""Folder of the originals in a prepared folder."""

TILE: Final = 256
"""Side of a tile in pixels."""

_LOADERS: Final = {
    "PNG": "pngload",
    "JPEG": "jpegload",
    "MPO": "jpegload",
    "WEBP": "webpload",
    "TIFF": "tiffload",
}
"""Loaders of libvips that read a file in strips, by Pillow's name of the format. The loader is
named, because libvips would otherwise choose among formats that run programs."""


def original_of(image: str) -> str:
    """Return the path of a prepared image's original: ``images/4d05.png``: ``originals/4d05.tif``.

    Args:
        image: Path of the prepared image, relative to the prepared folder.
    """
    return f"{ORIGINALS}/{Path(image).stem}.tif"


def store_original(source: Path | Image.Image, image: str, folder: Path) -> str:
    """Write the original of a prepared image. The same pixels give the same bytes.

    Args:
        source: The map's file, which ``read_map`` has accepted, or its pixels.
        image: Path of the prepared image, relative to the prepared folder.
        folder: The prepared folder.

    Returns:
        The path of the original, relative to the prepared folder.

    Raises:
        DataError: The file cannot be read.
    """
    name = original_of(image)
    with unfinished_file(folder / name) as unfinished:
        _write(source, unfinished)
    return name


def _write(source: Path | Image.Image, target: Path) -> None:
    vips = _vips()
    try:
        _open(vips, source).tiffsave(
            str(target),
            tile=True,
            tile_width=TILE,
            tile_height=TILE,
            pyramid=True,
            compression="deflate",
            keep="none",
        )
    except vips.Error as error:
        where = source if isinstance(source, Path) else target.name
        reason = str(error).strip().splitlines()[-1]
        raise DataError(where, found=reason, hint="The original cannot be stored.") from error


def _open(vips: ModuleType, source: Path | Image.Image) -> Any:
    """Return the picture as 8-bit RGB on white, upright, read in strips where possible."""
    if isinstance(source, Image.Image):
        return vips.Image.new_from_array(np.asarray(source.convert("RGB")))
    loader = _LOADERS.get(image_format(source))
    if loader is None:
        return vips.Image.new_from_array(np.asarray(read_whole_rgb(source)))
    image = getattr(vips.Image, loader)(str(source), access="sequential")
    if image.get_typeof("orientation") and image.get("orientation") > 1:
        image = getattr(vips.Image, loader)(str(source)).autorot()  # columns become rows
    image = image.colourspace("srgb")
    return image.flatten(background=255) if image.hasalpha() else image


def _vips() -> ModuleType:
    """Import libvips, which starts threads, only where it is used."""
    import pyvips

    return pyvips
