"""Crops of originals: the right pixels, from a file that is never decoded whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.images import PixelBudget, read_map
from rewardmap_verl.preparation.originals import original_of, store_original
from rewardmap_verl.zoom.boxes import Box
from rewardmap_verl.zoom.crops import Crop, original_size, plan_crop, read_crop
from rewardmap_verl.zoom.settings import ZoomSettings

SETTINGS = ZoomSettings(max_pixels=28 * 28 * 64, min_pixels=28 * 28 * 16)


def colored_grid(width: int, height: int) -> Image.Image:
    """A picture whose color tells the place: red grows to the right, green downwards."""
    down, across = np.indices((height, width))
    pixels = np.stack(
        [across * 255 // (width - 1), down * 255 // (height - 1), np.full_like(down, 90)], -1
    )
    return Image.fromarray(pixels.astype(np.uint8))


def stored(source: Path | Image.Image, folder: Path) -> str:
    return str(folder / store_original(source, "images/4d05.png", folder))


def test_the_original_is_named_after_the_prepared_image() -> None:
    assert original_of("images/4d05.png") == "originals/4d05.tif"


@pytest.mark.parametrize(
    "box",
    [(0, 0, 1000, 1000), (0, 0, 500, 500), (250, 500, 750, 900), (990, 990, 1000, 1000)],
)
def test_a_crop_is_the_resized_region(box: tuple[int, int, int, int], tmp_path: Path) -> None:
    picture = colored_grid(1000, 1500)
    path = stored(picture, tmp_path)
    assert original_size(path) == (1000, 1500)
    crop = plan_crop(Box(*box), (1000, 1500), SETTINGS, 28)
    found = read_crop(path, crop)
    expected = picture.crop(crop.region).resize(crop.size, Image.Resampling.LANCZOS)
    assert found.size == crop.size and found.mode == "RGB"
    difference = np.abs(np.asarray(found).astype(int) - np.asarray(expected).astype(int))
    assert difference.max() <= 3, "a color step is 4 pixels wide"


def test_details_that_the_overview_loses_are_exact_in_a_crop(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    path = stored(Image.fromarray(noise), tmp_path)
    crop = Crop((300, 500, 300 + 224, 500 + 112), (224, 112))
    assert np.array_equal(np.asarray(read_crop(path, crop)), noise[500:612, 300:524])


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *((mode, "png") for mode in ("RGB", "P", "L", "RGBA", "LA", "I;16")),
        *(("RGB", suffix) for suffix in ("webp", "tif", "bmp", "jpg")),
        *(("L", "jpg"), ("RGBA", "webp"), ("P", "bmp")),
    ],
)
def test_every_format_gives_the_colors_of_the_prepared_map(
    mode: str, suffix: str, tmp_path: Path
) -> None:
    image = colored_grid(280, 280)
    if mode == "I;16":
        values = np.linspace(0, 65535, 280 * 280).reshape(280, 280).astype(np.uint16)
        image = Image.fromarray(values)
    elif mode != "RGB":
        image = image.quantize(16) if mode == "P" else image.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(128)
    file = tmp_path / f"map.{suffix}"
    image.save(file)
    prepared = read_map(file, PixelBudget(max_pixels=280 * 280))
    found = read_crop(stored(file, tmp_path), Crop((0, 0, 280, 280), (280, 280)))
    difference = np.abs(np.asarray(found).astype(int) - np.asarray(prepared).astype(int))
    assert difference.max() <= 3


def test_a_rotated_photograph_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    colored_grid(280, 560).save(tmp_path / "map.jpg", exif=exif)
    prepared = read_map(tmp_path / "map.jpg", PixelBudget())
    path = stored(tmp_path / "map.jpg", tmp_path)
    assert original_size(path) == prepared.size == (560, 280)


def test_the_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = (Path(stored(colored_grid(900, 700), tmp_path / name)) for name in ("a", "b"))
    assert one.read_bytes() == other.read_bytes()
    assert [path.name for path in one.parent.iterdir()] == [one.name], "no unfinished file is left"


def test_missing_and_damaged_originals_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--keep-originals"):
        original_size(str(tmp_path / "none.tif"))
    path = Path(stored(colored_grid(900, 900), tmp_path))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError):
        read_crop(str(path), Crop((0, 0, 900, 900), (280, 280)))
    path.write_text("<svg/>")
    with pytest.raises(DataError):
        original_size(str(path))


MEMORY = """
import resource, sys
from pathlib import Path
from PIL import Image
import numpy
from rewardmap_verl.preparation.originals import store_original
from rewardmap_verl.zoom.crops import Crop, read_crop
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
source, folder = map(Path, sys.argv[1:])
import pyvips
before = peak()
name = store_original(source, "images/big.png", folder)
stored = peak()
read_crop(str(folder / name), Crop((1000, 1000, 7000, 7000), (560, 560)))
print(stored - before, peak() - stored)
"""


def test_a_large_map_is_never_in_memory(tmp_path: Path) -> None:
    """Beyond Pillow's own limit: 180 million pixels."""
    Image.new("L", (12_000, 15_000), 240).save(tmp_path / "big.png", compress_level=1)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "big.png"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    storing, cropping = map(float, done.stdout.split())
    assert storing < 120
    assert cropping < 60
