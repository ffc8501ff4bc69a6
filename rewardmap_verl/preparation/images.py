"""Map images: read common formats, resize once to the pixel budget, store once.

Qwen2-VL and Qwen2.5-VL split an image into square patches of 28 x 28 pixels, one visual token each.
Their processor resizes every image to that grid. An image that is already on the grid and within
the budget passes unchanged, so training only has to decode it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.png_strips import read_strips

__all__ = [
    "IMAGE_SUFFIXES",
    "PixelBudget",
    "StoredImage",
    "encode_png",
    "fit",
    "grid_size",
    "image_format",
    "pixel_count",
    "read_map",
    "read_whole_rgb",
    "store",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")

# Raster formats only: Pillow would pass an EPS file to Ghostscript.
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")

# Pillow needs 4 bytes per pixel, and a conversion makes a copy: 100 Mpx stay below 1 GB.
_MAX_DECODED_PIXELS = 100_000_000

_MIN_TOKENS = 4

_ORIENTATION_TAG = 0x0112
_MAX_ASPECT = 200  # limit of the model's processor


@dataclass(frozen=True, slots=True)
class PixelBudget:
    """Limits on the pixels of a map image.

    Raises:
        ConfigError: A limit is too small, or the limits contradict each other.
    """

    max_pixels: int = 12_845_056
    """Maximum pixels; the default is 16,384 visual tokens, the maximum of Qwen2.5-VL."""

    min_pixels: int = 3_136
    """Minimum pixels; smaller images are enlarged. The default is 4 visual tokens."""

    patch: int = 28
    """Side of the square of one visual token in pixels: 14-pixel patches merged 2 x 2."""

    pixel_limit: int = 300_000_000
    """Safety limit on the pixels of a source image, against decompression bombs. The largest map of
    ReasonMap has 278 million pixels."""

    def __post_init__(self) -> None:
        if self.patch < 1 or self.min_pixels < _MIN_TOKENS * self.patch**2:
            # Below this minimum, the image loader of Qwen2.5-VL enlarges the image again.
            raise ConfigError(
                "images",
                "min_pixels",
                self.min_pixels,
                f"It must be at least {_MIN_TOKENS} visual tokens ({_MIN_TOKENS * self.patch**2} "
                "pixels), and patch at least 1.",
            )
        if self.max_pixels < self.min_pixels:
            raise ConfigError(
                "images",
                "max_pixels",
                self.max_pixels,
                f"It must be at least min_pixels ({self.min_pixels}).",
            )
        if self.pixel_limit < 1:
            raise ConfigError("images", "pixel_limit", self.pixel_limit, "It must be at least 1.")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One map image in the prepared folder."""

    path: str  # relative to the prepared folder, "images/<hash>.png"
    width: int  # pixels, a multiple of the patch
    height: int  # pixels, a multiple of the patch
    tokens: int  # visual tokens


def grid_size(
    width: int, height: int, budget: PixelBudget, where: object = "image"
) -> tuple[int, int]:
    """Return the size on the patch grid that is closest to the image and within the budget.

    The result is a fixed point: for it, this function and the processor of Qwen2-VL return the same
    size.

    Args:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        budget: The limits.
        where: The image, for the error message.

    Returns:
        Width and height in pixels, multiples of the patch.

    Raises:
        DataError: The image is empty, one side is more than 200 times the other, or no size of its
            shape is between the two limits.
    """
    _check_aspect(width, height, where)
    size = _rounded(width, height, budget.patch)
    if math.prod(size) < budget.min_pixels:
        size = _scaled_up(width, height, budget)
    if math.prod(size) > budget.max_pixels:
        size = _scaled_down(width, height, budget)
    _check_aspect(*size, where)
    if not budget.min_pixels <= math.prod(size) <= budget.max_pixels:
        raise DataError(
            where,
            "size",
            f"{width}x{height}",
            f"No size of this shape on a {budget.patch}-pixel grid has between {budget.min_pixels} "
            f"and {budget.max_pixels} pixels. Widen the pixel budget.",
        )
    return size


def _check_aspect(width: int, height: int, where: object) -> None:
    if min(width, height) < 1 or max(width, height) > _MAX_ASPECT * min(width, height):
        hint = f"No side may be more than {_MAX_ASPECT} times the other."
        raise DataError(where, "size", f"{width}x{height}", hint)


def _rounded(width: int, height: int, patch: int) -> tuple[int, int]:
    return max(1, round(width / patch)) * patch, max(1, round(height / patch)) * patch


def _scaled_up(width: int, height: int, budget: PixelBudget) -> tuple[int, int]:
    scale = math.sqrt(budget.min_pixels / (width * height))
    patch = budget.patch
    return math.ceil(width * scale / patch) * patch, math.ceil(height * scale / patch) * patch


def _scaled_down(width: int, height: int, budget: PixelBudget) -> tuple[int, int]:
    """Round each side up or down so that the side with the lower resolution keeps most detail.

    Rounding both down, as the processor does, would distort a 9,921 x 9,908 map to 6 x 5 patches.
    """
    cells = budget.max_pixels // budget.patch**2
    scale = math.sqrt(cells / (width * height))
    exact = (width * scale, height * scale)
    sides = [sorted({max(1, math.floor(side)), math.ceil(side)}) for side in exact]
    # A side that is raised to one patch leaves fewer patches for the other.
    sizes = [(a, b) for a in (*sides[0], cells) for b in (*sides[1], cells) if a * b <= cells]
    across, down = max(
        sizes, key=lambda size: (min(size[0] / exact[0], size[1] / exact[1]), -size[0] * size[1])
    )
    return across * budget.patch, down * budget.patch


def pixel_count(source: Path | io.BytesIO) -> int:
    """Return the number of pixels from the header of an image; 0 if it cannot be read."""
    try:
        with _no_pillow_limit(), Image.open(source, formats=_FORMATS) as image:
            return image.width * image.height
    except Exception:  # ``read_map`` reports the reason
        return 0


def read_map(path: Path, budget: PixelBudget) -> Image.Image:
    """Read a map image of a common format and resize it (Lanczos) to the pixel budget.

    Palette, gray, 16-bit, CMYK and transparent images (on white) become 8-bit RGB. The orientation
    tag of a photograph is applied. A PNG is read in strips, which needs far less memory than the
    decoded image.

    Args:
        path: The image file.
        budget: The limits.

    Returns:
        An RGB image of ``grid_size``.

    Raises:
        DataError: The image cannot be read, is animated, or is larger than the safety limit.
    """
    try:
        with _no_pillow_limit(), Image.open(path, formats=_FORMATS) as image:
            _check(image, path, budget)
            strips = None
            if image.format == "PNG" and not _is_rotated(image):
                strips = read_strips(path)
            if strips is not None:
                size = grid_size(image.width, image.height, budget, path)
                return _resize_strips((_to_rgb(one, path) for one in strips), image.size, size)
            return fit(_load(image, path, budget), budget, path)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(path, hint="The map image does not exist.") from error
    # Decoders raise many kinds of errors for damaged files (OSError, SyntaxError, struct.error).
    except Exception as error:
        raise DataError(
            path,
            hint=f"The image cannot be read ({error}); it may be truncated or damaged. Open it in "
            "an image editor and save it as PNG.",
        ) from error


def fit(image: Image.Image, budget: PixelBudget, where: object = "image") -> Image.Image:
    """Resize an image in memory (Lanczos) to the pixel budget, as 8-bit RGB."""
    size = grid_size(image.width, image.height, budget, where)
    rgb = _to_rgb(image, where)
    return rgb if rgb.size == size else rgb.resize(size, Image.Resampling.LANCZOS)


def image_format(path: Path) -> str:
    """Return Pillow's name of the format of an image that ``read_map`` has accepted."""
    with _no_pillow_limit(), Image.open(path, formats=_FORMATS) as image:
        return image.format or ""


def read_whole_rgb(path: Path) -> Image.Image:
    """Decode an image that ``read_map`` has accepted at its own size, as upright 8-bit RGB."""
    with _no_pillow_limit(), Image.open(path, formats=_FORMATS) as image:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image), path)


def _check(image: Image.Image, path: Path, budget: PixelBudget) -> None:
    """Reject an image that is too large or animated, before any pixel is decoded."""
    pixels = image.width * image.height
    if pixels > budget.pixel_limit:
        raise DataError(
            path,
            "size",
            f"{image.width}x{image.height}",
            f"It has {pixels:,} pixels and the safety limit is {budget.pixel_limit:,}. Raise "
            "pixel_limit if you trust the file.",
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a photograph with a preview
        raise DataError(path, "frames", frames, "The image is animated. Save one frame as PNG.")


def _is_rotated(image: Image.Image) -> bool:
    exif = Image.Exif()  # ``image.getexif()`` would decode the whole PNG first
    exif.load(image.info.get("exif", b""))
    return exif.get(_ORIENTATION_TAG, 1) != 1


def _load(image: Image.Image, path: Path, budget: PixelBudget) -> Image.Image:
    """Decode an image at once; a large JPEG at a half, a quarter or an eighth of its size."""
    if image.width * image.height > _MAX_DECODED_PIXELS:
        target = grid_size(image.width, image.height, budget, path)
        image.draft("RGB", (2 * target[0], 2 * target[1]))
    if image.width * image.height > _MAX_DECODED_PIXELS:
        raise DataError(
            path,
            "size",
            f"{image.width}x{image.height}",
            f"Above {_MAX_DECODED_PIXELS:,} pixels, only JPEG and PNG (8 bits per channel, not "
            "interlaced) can be read with little memory. Save it as one of these.",
        )
    image.load()
    return ImageOps.exif_transpose(image)


def _resize_strips(
    parts: Iterator[Image.Image], size: tuple[int, int], target: tuple[int, int]
) -> Image.Image:
    """Resize the width strip by strip, and then the height of the joined strips.

    Lanczos is separable, so the result is the same except for rounding between the passes.
    """
    narrow = Image.new("RGB", (target[0], size[1]))
    top = 0
    for part in parts:
        narrow.paste(_lanczos(part, (target[0], part.height)), (0, top))
        top += part.height
    return _lanczos(narrow, target)


def _lanczos(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize, after box averaging down to no less than twice the target size.

    For a map of four times the target size this is three times as fast, at a PSNR of 53 dB.
    """
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _to_rgb(image: Image.Image, where: object) -> Image.Image:
    """Convert to 8-bit RGB on a white background."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        high_bytes = np.asarray(image).astype(np.uint32) // 257
        return Image.fromarray(high_bytes.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise DataError(where, "mode", image.mode, "Save it with 8 bits per color channel.")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        opaque = Image.new("RGB", image.size, "white")
        rgba = image.convert("RGBA")
        opaque.paste(rgba, mask=rgba.getchannel("A"))
        return opaque
    return image.convert("RGB")


@contextlib.contextmanager
def _no_pillow_limit() -> Iterator[None]:
    """Disable Pillow's pixel limit, which real maps exceed; ``_check`` applies our own."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # metadata faults that do not affect the pixels
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def encode_png(image: Image.Image) -> bytes:
    """Encode as PNG. The same pixels give the same bytes.

    With compression level 4, a real map is 4 % larger than with Pillow's default of 6 and takes two
    thirds of the time.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def store(image: Image.Image, folder: Path, patch: int) -> StoredImage:
    """Write an image to ``folder/images`` under a hash of its pixels, unless it exists.

    The hash covers the pixels and not the file, because compressors differ between machines and the
    rows that refer to the image should not.
    """
    header = f"{image.mode} {image.width}x{image.height} ".encode()
    name = f"images/{hashlib.sha256(header + image.tobytes()).hexdigest()[:16]}.png"
    if not (folder / name).exists():
        write_bytes(folder / name, encode_png(image))
    tokens = (image.width // patch) * (image.height // patch)
    return StoredImage(name, image.width, image.height, tokens)
