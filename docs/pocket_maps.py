"""Draw the picture of pocket maps in docs/embedded-run.md: python docs/pocket_maps.py OUTPUT."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from rewardmap_verl.drawing.pocket_map import PocketStyle, draw_pocket_map
from rewardmap_verl.transit.synthesis.pocket_networks import PocketSettings, generate_pocket_network

COLUMNS, ROWS, WIDTH, GAP = 3, 2, 448, 16


def main(output: Path) -> None:
    """Draw the first maps of seed 1 side by side."""
    height = WIDTH * 6 // 8
    size = COLUMNS * (WIDTH + GAP) - GAP, ROWS * (height + GAP) - GAP
    sheet = Image.new("RGB", size, "white")
    for index in range(COLUMNS * ROWS):
        placed = generate_pocket_network(1, index, PocketSettings())
        drawn = draw_pocket_map(placed, PocketStyle()).image_at(WIDTH)
        column, row = index % COLUMNS, index // COLUMNS
        sheet.paste(drawn, (column * (WIDTH + GAP), row * (height + GAP)))
    sheet.save(output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the first pocket maps of seed 1.")
    parser.add_argument("output", type=Path, help="PNG file to write")
    main(parser.parse_args().output)
