"""Write each map of a report once: unchanged, and reduced if it is large."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.atomic import link_or_copy
from rewardmap_verl.preparation.paths import PICTURE_FORMATS
from rewardmap_verl.reports.prepared import PreparedMap
from rewardmap_verl.transit.city_titles import city_title

__all__ = ["write_picture"]

LARGEST_SIDE = 1600
"""Pixels of the longer side; a larger map is shown reduced, with a link to the original."""


def write_picture(found: PreparedMap, target: Path, number: int) -> Mapping[str, Any]:
    """Write a map's picture into a report.

    Returns:
        The map's entry in the page's index.

    Raises:
        DataError: The picture is missing or broken.
    """
    record, source = found.record, found.image
    # The suffix is that of the checked name: a link may lead to a file with another one.
    shown = full = f"maps/{number}{PurePosixPath(record.image).suffix}"
    try:
        link_or_copy(source, target / full)
        if max(record.width, record.height) > LARGEST_SIDE:
            shown = f"maps/{number}-small.webp"
            _reduce(source, target / shown)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        hint = "Prepare the data again with `rewardmap prepare`."
        raise DataError(source, found=str(error), hint=hint) from None
    return {
        "name": city_title(record.country, record.city),
        "difficulty": record.difficulty,
        "lines": record.lines,
        "stops": record.stops,
        "width": record.width,
        "height": record.height,
        "image": shown,
        "full": full,
        "drawn": found.positions is not None,
    }


def _reduce(source: Path, target: Path) -> None:
    with Image.open(source, formats=PICTURE_FORMATS) as image:
        image.draft("RGB", (LARGEST_SIDE * 2, LARGEST_SIDE * 2))
        small = image.convert("RGB")
    small.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    small.save(target, "WEBP", quality=82, method=2)
