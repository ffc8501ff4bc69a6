"""Regions of an original map, read without decoding the whole picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.images import grid_size
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.settings import ZoomSettings

__all__ = ["Crop", "original_size", "plan_crop", "read_crop"]

_MISSING = (
    "Prepare the data with --keep-originals, and keep the folder identical on all nodes while a "
    "run uses it."
)


@dataclass(frozen=True, slots=True)
class Crop:
    """A region of an original and the size at which it is shown; pixels are not included."""

    region: tuple[int, int, int, int]
    """Left, top, right, bottom in pixels of the original."""
    size: tuple[int, int]
    """Width and height at which it is shown, multiples of the side of a visual token."""


def plan_crop(box: Box, original: tuple[int, int], settings: ZoomSettings, unit: int) -> Crop:
    """Choose region and size of a crop.

    Args:
        box: The box.
        original: Width and height of the original in pixels.
        settings: Pixel budget.
        unit: Side of the square of one visual token in pixels.

    Raises:
        BoxError: The region is too narrow to be shown.
    """
    region = box.pixels(*original)
    width, height = region[2] - region[0], region[3] - region[1]
    return Crop(region, grid_size(width, height, settings.budget(unit), "crop"))


def original_size(path: str) -> tuple[int, int]:
    """Return width and height of an original in pixels, from its header.

    Raises:
        DataError: The file is missing or is not an image.
    """
    image = _open(path, 0)
    return image.width, image.height


def read_crop(path: str, crop: Crop) -> Image.Image:
    """Read and resize a region of an original (Lanczos).

    It is read from the smallest stored copy that has at least the resolution of the result, so the
    number of decoded pixels depends on the result's size and not on the region's.

    Args:
        path: The original, written by ``store_original``.
        crop: Region and size.

    Returns:
        An RGB image of ``crop.size``.

    Raises:
        DataError: The file is missing, damaged, or smaller than the region.
    """
    left, top, right, bottom = crop.region
    width, height = crop.size
    spare = min((right - left) / width, (bottom - top) / height)
    level = max(0, math.floor(math.log2(spare))) if spare > 1 else 0
    import pyvips

    try:
        page = _page(path, level)
        x, across = _interval(left, right, 2 ** page[0], page[1].width)
        y, down = _interval(top, bottom, 2 ** page[0], page[1].height)
        part = page[1].crop(x, y, across, down)
        return Image.fromarray(part.thumbnail_image(width, height=height, size="force").numpy())
    except pyvips.Error as error:
        raise _unreadable(path, error) from error


def _page(path: str, level: int) -> tuple[int, Any]:
    """Return the stored copy that was halved ``level`` times, or the smallest there is."""
    image = _open(path, 0)
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
    level = min(level, pages - 1)
    return level, _open(path, level) if level else image


def _interval(start: int, end: int, factor: int, length: int) -> tuple[int, int]:
    """Return start and length of an interval in a copy that is smaller by ``factor``."""
    first = min(start // factor, length - 1)
    return first, max(1, min(-(-end // factor), length) - first)


def _open(path: str, page: int) -> Any:
    import pyvips  # starts threads, so it is imported where it is used

    if not Path(path).is_file():
        raise DataError(path, found="no original map", hint=_MISSING)
    try:
        return pyvips.Image.tiffload(path, page=page, access="random")
    except pyvips.Error as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> DataError:
    lines = str(error).strip().splitlines()
    return DataError(path, found=lines[-1] if lines else "an error", hint=_MISSING)
