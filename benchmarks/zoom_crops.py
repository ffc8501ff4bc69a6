"""Time and memory of a crop from the largest map of a folder.

    python benchmarks/zoom_crops.py FOLDER [--crops N] [--record FILE]

FOLDER has maps/ as `rewardmap prepare local` reads it. The original is stored as preparation does
with --keep-originals, in a process of its own. Then random boxes from a thousandth of the map to
all of it are cropped at the default pixel budget, each for the first time. The metrics are
wall-clock and CPU milliseconds per crop and the memory that a process needs beyond its imports.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from rewardmap_verl.preparation.images import IMAGE_SUFFIXES
from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.zoom.boxes import SCALE, Box
from rewardmap_verl.zoom.crops import original_size, plan_crop, read_crop
from rewardmap_verl.zoom.settings import ZoomSettings

UNIT = 28


def largest_map(root: Path) -> Path:
    """Return the map image with the most pixels."""
    Image.MAX_IMAGE_PIXELS = None  # the largest real map exceeds Pillow's limit
    maps = [path for path in root.glob("maps/*/*") if path.suffix.lower() in IMAGE_SUFFIXES]

    def pixels(path: Path) -> int:
        with Image.open(path) as image:
            return image.width * image.height

    return max(maps, key=pixels)


def peak() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def random_box(random: np.random.Generator) -> Box:
    """Return a box whose side is log-uniform between a thirtieth and all of the map."""
    side = int(SCALE * 30 ** -random.random())
    left, top = (int(random.integers(0, SCALE - side + 1)) for _ in range(2))
    return Box(left, top, left + side, top + side)


def measure_store(source: Path, folder: Path) -> dict[str, float]:
    """Store the original and return its costs."""
    before, cpu, start = peak(), time.process_time(), time.perf_counter()
    name = store_original(source, "images/map.png", folder)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "megabytes_of_memory": peak() - before,
        "megabytes_on_disk": (folder / name).stat().st_size / 1e6,
    }


def measure_crops(path: str, count: int) -> dict[str, Any]:
    """Crop ``count`` boxes and return the costs."""
    size, settings = original_size(path), ZoomSettings()
    random = np.random.default_rng(0)
    before, wall, cpu = peak(), [], []
    for _ in range(count):
        crop = plan_crop(random_box(random), size, settings, UNIT)
        start, used = time.perf_counter(), time.process_time()
        read_crop(path, crop)
        wall.append(1000 * (time.perf_counter() - start))
        cpu.append(1000 * (time.process_time() - used))
    quantiles = {"median": 50, "90 %": 90, "maximum": 100}
    return {
        "original": list(size),
        "crops": count,
        "cpu_ms": {name: float(np.percentile(cpu, at)) for name, at in quantiles.items()},
        "wall_ms": {name: float(np.percentile(wall, at)) for name, at in quantiles.items()},
        "megabytes_of_memory": peak() - before,
        "libvips": f"{pyvips.version(0)}.{pyvips.version(1)}",
    }


def main() -> None:
    """Run the benchmark, print and record the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crops", type=int, default=100)
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        source = largest_map(arguments.folder)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            stored = pool.apply(measure_store, (source, out))
        crops = measure_crops(str(out / "originals" / "map.tif"), arguments.crops)
    result = {"map": f"{source.parent.name}/{source.stem}", "store": stored, "crop": crops}
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.record:
        arguments.record.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
