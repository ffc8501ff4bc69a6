"""Draw the picture in docs/data.md: drawn maps above real ones.

The real maps of that picture are free; docs/data.md credits their authors. They are
``images/others/kolkatametroclip.png`` of SwatCoding/Transit_Chitro (commit 4b06429), and of
hashcc/railmaps (commit bd59cdc) ``beijing.svg`` and the part of ``tokyo_en.svg`` with the view box
``2870 1700 1830 1292``, both rendered by a browser.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from rewardmap_verl.drawing import draw_map, style_at
from rewardmap_verl.transit.synthetic import generate_network, settings_at

# Difficulty, seed, language.
MAPS = ((0.1, 4, "german"), (0.3, 2, "spanish"), (0.6, 2, "cyrillic"))
CELL, GAP = (680, 480), 20


def drawn_maps() -> list[Image.Image]:
    """Draw a small, a middle and a large network, each in another language."""
    maps = []
    for difficulty, seed, language in MAPS:
        settings = settings_at(difficulty).with_languages((language,))
        placed = generate_network(seed, 0, settings)
        maps.append(draw_map(placed, style_at(difficulty), width=2 * CELL[0]).image)
    return maps


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Arrange images in rows, each fitted into a cell of the same size."""
    width, height = CELL[0] + GAP, CELL[1] + GAP
    size = max(map(len, rows)) * width - GAP, len(rows) * height - GAP
    page = Image.new("RGB", size, "white")
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            page.paste(ImageOps.pad(image, CELL, color="white"), (x * width, y * height))
    return page


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="PNG file to write: docs/images/drawn-maps.png")
    parser.add_argument(
        "--beside",
        type=Path,
        nargs="+",
        default=[],
        help="images of real maps for a second row. Many operators do not allow copies of their "
        "maps, so docs/images has only maps with a free license",
    )
    given = parser.parse_args(arguments)
    real = [Image.open(path).convert("RGB") for path in given.beside]
    page = sheet([drawn_maps(), *([real] if real else [])])
    page.quantize(128).save(given.output, optimize=True)


if __name__ == "__main__":
    main()
