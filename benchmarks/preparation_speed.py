"""Speed of the preparation, and the time that a prepared map saves in every rollout.

    python benchmarks/preparation_speed.py FOLDER [--workers N]

FOLDER has maps/ and stations/ as `rewardmap prepare local` reads them. The data are prepared at
full size in a temporary folder. The metrics are wall-clock and CPU seconds, seconds per 1,000 rows,
bytes per row, peak memory of a process, and the time to load a training sample of the largest map
as verl does, from the original image and from the prepared one.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from rewardmap_verl.preparation.images import IMAGE_SUFFIXES
from rewardmap_verl.preparation.manifest import Manifest
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import SIZES, PrepareSettings


def timed(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def load_sample(path: Path, max_pixels: int) -> Image.Image:
    """Load an image as verl's dataset does for each rollout."""
    from qwen_vl_utils.vision_process import fetch_image

    image: Image.Image = fetch_image({"image": str(path), "max_pixels": max_pixels})
    return image


def largest_map(root: Path) -> Path:
    """Return the map image with the most pixels."""
    maps = [path for path in root.glob("maps/*/*") if path.suffix.lower() in IMAGE_SUFFIXES]

    def pixels(path: Path) -> int:
        with Image.open(path) as image:
            return image.width * image.height

    return max(maps, key=pixels)


def report(root: Path, out: Path, workers: int) -> Table:
    """Prepare a folder and return the metrics."""
    full = SIZES["full"]
    settings = PrepareSettings(
        source="local", root=root, out=out, quotas=full.quotas, workers=workers
    )
    found: list[Manifest] = []
    start = cpu_seconds()
    first = timed(lambda: found.append(prepare(settings)))
    used_cpu = cpu_seconds() - start
    memory = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    again = timed(lambda: prepare(settings))
    manifest = found[0]
    rows = sum(manifest.rows.values())
    parquet = sum(manifest.files[f"{split}.parquet"].bytes for split in manifest.rows)
    largest = largest_map(root)
    key = f"{largest.parent.name}/{largest.stem}"
    entry = next(e for e in manifest.maps if f"{e.country}/{e.city}" == key)
    budget = settings.budget.max_pixels
    before = timed(lambda: load_sample(largest, budget))
    after = timed(lambda: load_sample(out / entry.image, budget))
    table = Table("metric", "value", title=f"{len(manifest.maps)} maps, {rows:,} rows")
    table.add_row("prepare all maps", f"{first:.1f} s")
    table.add_row("CPU time", f"{used_cpu:.1f} s")
    table.add_row("time per 1,000 rows", f"{1000 * first / rows:.1f} s")
    table.add_row("second run, up to date", f"{again:.2f} s")
    table.add_row("parquet per row", f"{parquet / rows:,.0f} bytes")
    table.add_row("all images", f"{(manifest.bytes - parquet) / 1e6:.1f} MB")
    table.add_row("peak memory of a process", f"{memory / 1024:,.0f} MB")
    table.add_row(f"load {key} from the original", f"{before:.2f} s")
    table.add_row(f"load {key} prepared", f"{after:.2f} s")
    return table


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    Image.MAX_IMAGE_PIXELS = None  # the largest real map exceeds Pillow's limit
    with tempfile.TemporaryDirectory() as folder:
        table = report(arguments.folder, Path(folder) / "out", arguments.workers)
    Console().print(table)


if __name__ == "__main__":
    main()
