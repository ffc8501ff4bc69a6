"""Map images of every kind become RGB on the patch grid; what cannot be read is said clearly."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.images import (
    PixelBudget,
    encode_png,
    fit,
    grid_size,
    pixel_count,
    read_map,
    store,
)

SMALL = PixelBudget(max_pixels=28 * 28 * 36)


def picture(width: int = 200, height: int = 150, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@settings(max_examples=200)
@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.integers(4, 16_384),
    st.integers(4, 64),
)
def test_grid_size_is_a_fixed_point_that_the_processor_of_qwen_keeps(
    width: int, height: int, most: int, least: int
) -> None:
    smart_resize = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_qwen2_vl"
    ).smart_resize
    budget = PixelBudget(max_pixels=max(most, least) * 784, min_pixels=least * 784)
    try:
        size = grid_size(width, height, budget)
    except DataError:
        return
    assert size[0] % 28 == 0 and size[1] % 28 == 0
    assert budget.min_pixels <= size[0] * size[1] <= budget.max_pixels
    assert grid_size(*size, budget) == size
    kept = smart_resize(size[1], size[0], 28, budget.min_pixels, budget.max_pixels)
    assert kept == (size[1], size[0])


def test_the_whole_processor_of_qwen_keeps_a_prepared_image() -> None:
    from transformers import Qwen2VLImageProcessor

    image = fit(picture(1000, 700), SMALL)
    # Not min_pixels and max_pixels: transformers 5.9 writes those into the defaults of the class.
    size = {"shortest_edge": SMALL.min_pixels, "longest_edge": SMALL.max_pixels}
    processor = Qwen2VLImageProcessor(size=size)
    grid = processor(images=[image], return_tensors="pt")["image_grid_thw"][0].tolist()
    assert grid == [1, image.height // 14, image.width // 14]


def test_the_loader_of_qwen_keeps_a_prepared_image(tmp_path: Path) -> None:
    fetch_image = pytest.importorskip("qwen_vl_utils.vision_process").fetch_image
    image = fit(picture(1000, 700), SMALL)
    path = saved(tmp_path / "map.png", image)
    loaded = fetch_image({"image": str(path), "max_pixels": SMALL.max_pixels}, image_patch_size=14)
    assert loaded.size == image.size
    assert loaded.tobytes() == image.tobytes()


def test_shape_is_kept_and_the_budget_used() -> None:
    width, height = grid_size(14_032, 19_843, PixelBudget())
    assert 0.95 < (width * height) / 12_845_056 <= 1
    assert width / height == pytest.approx(14_032 / 19_843, rel=0.02)


def test_a_square_map_stays_square_where_patches_are_few() -> None:
    assert grid_size(9_921, 9_908, SMALL) == (168, 168)
    assert grid_size(2_800, 1_988, SMALL) == (196, 140)


@pytest.mark.parametrize(("width", "height"), [(0, 10), (28 * 201, 28), (1, 300)])
def test_impossible_shapes_are_refused(width: int, height: int) -> None:
    with pytest.raises(DataError, match="200 times"):
        grid_size(width, height, PixelBudget())


@pytest.mark.parametrize(
    "limits",
    [
        {"max_pixels": 100},
        {"min_pixels": 0},
        {"min_pixels": 10_000_000, "max_pixels": 5_000_000},
        {"pixel_limit": 0},
        {"patch": 0},
        {"min_pixels": 784},
    ],
)
def test_contradictory_budgets_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        PixelBudget(**limits)


def test_large_png_in_strips_equals_pillow_in_one_piece(tmp_path: Path) -> None:
    source = picture(1500, 4100)  # more than one strip
    path = saved(tmp_path / "map.png", source)
    size = grid_size(*source.size, SMALL)
    whole = source.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    difference = np.asarray(read_map(path, SMALL), int) - np.asarray(whole, int)
    assert np.abs(difference).max() <= 2  # rounding
    # Averaging pixels before Lanczos is fast and cannot be seen.
    best = source.resize(size, Image.Resampling.LANCZOS)
    difference = np.asarray(read_map(path, SMALL), int) - np.asarray(best, int)
    assert np.sqrt((difference**2).mean()) < 2


def on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_png_of_every_mode(tmp_path: Path, mode: str) -> None:
    source = picture(280, 140, "RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        source.putalpha(Image.linear_gradient("L").resize(source.size))
    got = read_map(saved(tmp_path / "map.png", source), PixelBudget())
    assert got.mode == "RGB" and got.size == (280, 140)
    difference = np.abs(np.asarray(got, int) - np.asarray(on_white(source), int))
    assert difference.max() <= 1


def test_transparent_color_of_a_palette_becomes_white(tmp_path: Path) -> None:
    source = Image.new("P", (84, 84), 0)
    source.putpalette([255, 0, 0, 0, 0, 255])
    source.paste(1, (0, 0, 42, 84))
    got = read_map(saved(tmp_path / "map.png", source, transparency=0), PixelBudget())
    assert got.getpixel((10, 40)) == (0, 0, 255)
    assert got.getpixel((70, 40)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    values = np.full((84, 84), 65535, dtype=np.uint16)
    values[:, :42] = 32768
    got = read_map(saved(tmp_path / "map.png", Image.fromarray(values)), PixelBudget())
    assert got.getpixel((70, 40)) == (255, 255, 255)
    assert abs(got.getpixel((10, 40))[0] - 128) <= 1


def test_float_image_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "map.tif", Image.new("F", (84, 84)))
    with pytest.raises(DataError, match="8 bits"):
        read_map(path, PixelBudget())


@pytest.mark.parametrize("name", ["map.jpg", "map.webp", "map.bmp", "map.tif", "map.gif"])
def test_other_formats(tmp_path: Path, name: str) -> None:
    source = Image.linear_gradient("L").resize((280, 140)).convert("RGB")
    got = read_map(saved(tmp_path / name, source), PixelBudget())
    assert got.size == (280, 140) and got.mode == "RGB"
    assert np.abs(np.asarray(got, int) - np.asarray(source, int)).mean() < 3


def test_cmyk_jpeg(tmp_path: Path) -> None:
    source = Image.new("CMYK", (84, 84), (0, 255, 255, 0))
    red = read_map(saved(tmp_path / "map.jpg", source), PixelBudget()).getpixel((40, 40))
    assert red[0] > 200 and red[1] < 60 and red[2] < 60


@pytest.mark.parametrize("name", ["map.jpg", "map.png"])
def test_orientation_of_a_photograph_is_applied(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    path = saved(tmp_path / name, picture(280, 140), exif=exif)
    assert read_map(path, PixelBudget()).size == (140, 280)


@pytest.mark.parametrize("name", ["map.gif", "map.png", "map.webp"])
def test_animated_is_refused(tmp_path: Path, name: str) -> None:
    frames = [Image.new("RGB", (84, 84), color) for color in ("red", "blue", "green")]
    path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="animated"):
        read_map(path, PixelBudget())


@pytest.mark.parametrize("name", ["map.png", "map.jpg", "map.webp", "map.bmp", "map.gif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_truncated_is_refused(tmp_path: Path, name: str, share: float) -> None:
    path = saved(tmp_path / name, picture())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match="cannot be read"):
        read_map(path, PixelBudget())


def test_damaged_byte_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "map.png", picture())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"map\.png.*checksum"):
        read_map(path, PixelBudget())


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"]
)
def test_files_that_are_not_images_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"map\.png"):
        read_map(path, PixelBudget())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_map(tmp_path / "map.png", PixelBudget())


def bomb(width: int, height: int) -> bytes:
    """A few kilobytes that claim to be a huge picture."""

    def chunk(kind: bytes, payload: bytes) -> bytes:
        checksum = zlib.crc32(kind + payload).to_bytes(4, "big")
        return struct.pack(">I", len(payload)) + kind + payload + checksum

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000), 9)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    path.write_bytes(bomb(60_000, 60_000))
    with pytest.raises(DataError, match=r"3,600,000,000 pixels.*pixel_limit"):
        read_map(path, PixelBudget())


def test_the_largest_real_map_is_inside_the_default_limit() -> None:
    assert PixelBudget().pixel_limit > 14_032 * 19_843


def test_pillows_own_limit_is_as_before(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    read_map(saved(tmp_path / "map.png", picture()), PixelBudget())
    assert before == Image.MAX_IMAGE_PIXELS is not None


def test_store_names_by_pixels_and_writes_once(tmp_path: Path) -> None:
    image = fit(picture(), SMALL)
    first = store(image, tmp_path, 28)
    path = tmp_path / first.path
    assert first.tokens == image.width * image.height // 784
    assert Image.open(path).tobytes() == image.tobytes()
    stamp = path.stat().st_mtime_ns
    assert store(image.copy(), tmp_path, 28) == first
    assert path.stat().st_mtime_ns == stamp
    assert store(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), tmp_path, 28) != first


def test_encoding_is_repeatable() -> None:
    image = picture()
    assert encode_png(image) == encode_png(image.copy())
    assert Image.open(io.BytesIO(encode_png(image))).tobytes() == image.tobytes()


def test_large_real_map_in_little_memory(shared_data: Path) -> None:
    """The 98-megapixel map takes 390 MB decoded at once; the process stays far below that."""
    script = (
        "import sys; from pathlib import Path\n"
        "from rewardmap_verl.preparation.images import PixelBudget, read_map\n"
        "image = read_map(Path(sys.argv[1]), PixelBudget(max_pixels=36 * 784))\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(*image.size, int(status.split('VmHWM:')[1].split()[0]) // 1024)\n"
    )
    path = shared_data / "maps" / "singapore" / "singapore.png"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    width, height, megabytes = map(int, done.stdout.split())
    assert (width, height) == (168, 168)
    assert megabytes < 230


def test_effort_comes_from_the_header(tmp_path: Path) -> None:
    assert pixel_count(saved(tmp_path / "map.png", picture(30, 40))) == 1200
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert pixel_count(broken) == 0
