"""Where the pixels of a map come from, in a form that is cheap to send to another process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from rewardmap_verl.errors import DataError
from rewardmap_verl.verl_plugin.image_references.cache import ByteCache

__all__ = ["ImageSource", "decoded_images", "source_of"]

_SIZE_OPTIONS = ("min_pixels", "max_pixels")
"""Keys of an image's message that bound its size; with any other the image is left to verl."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A prepared image and what verl would do with it on loading.

    Two sources are equal when their pixels are: the content of the file is part of it, so that a
    process on another node, with another file under this path, says so and does not train on it.
    """

    path: str
    """Absolute; on a cluster, on shared storage, as the rows ask for anyway."""
    digest: str
    """SHA-256 of the file."""
    options: tuple[tuple[str, int], ...]
    """Bounds on the number of pixels, by name, as the row has them."""
    patch_size: int
    """Pixels of a patch's side, by the model's processor: the size is rounded to twice of it."""
    cache_bytes: int
    """Bytes of images that a process may keep."""

    def image(self) -> Image.Image:
        """The image as verl would hand it to a rollout, decoded once per process.

        Raises:
            DataError: As for :meth:`decode`.
        """
        return decoded_images(self.cache_bytes).get(self, self.decode)

    def decode(self) -> Image.Image:
        """The image as verl would hand it to a rollout, which nobody keeps.

        Raises:
            DataError: The file is not there, or is another one than when the source was made.
        """
        from qwen_vl_utils.vision_process import fetch_image

        content = _read(self.path)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise DataError(
                self.path,
                found="another content than where the prompt was read",
                hint="The prepared folder must not change in a run, and be the same on every node.",
            )
        image: Image.Image = fetch_image(
            {"image": Image.open(BytesIO(content)), **dict(self.options)},
            image_patch_size=self.patch_size,
        )
        return image

    def size(self) -> tuple[int, int]:
        """Width and height of :meth:`image` in pixels, from the head of the file alone."""
        from qwen_vl_utils import vision_process

        factor = self.patch_size * vision_process.SPATIAL_MERGE_SIZE
        tokens = (vision_process.IMAGE_MIN_TOKEN_NUM, vision_process.IMAGE_MAX_TOKEN_NUM)
        bounds = {
            name: count * factor**2 for name, count in zip(_SIZE_OPTIONS, tokens, strict=True)
        }
        width, height = _size_of_file(self.path)
        height, width = vision_process.smart_resize(
            height, width, factor=factor, **{**bounds, **dict(self.options)}
        )
        return width, height


def source_of(item: Mapping[str, Any], patch_size: int, cache_bytes: int) -> ImageSource | None:
    """The source of an image in a message; ``None`` where it is not a local file with known keys.

    Args:
        item: Such as ``{"type": "image", "image": "/data/images/4d05.png", "max_pixels": 401408}``.
        patch_size: Of the model's processor.
        cache_bytes: Bytes of images that a process may keep.

    Raises:
        DataError: There is no such file.
    """
    path = item.get("image")
    options = {key: value for key, value in item.items() if key not in ("type", "image")}
    if (
        not isinstance(path, str)
        or not path.startswith("/")
        or not set(options) <= {*_SIZE_OPTIONS}
    ):
        return None
    sizes = tuple(sorted((key, int(value)) for key, value in options.items()))
    return ImageSource(path, _digest(path), sizes, patch_size, cache_bytes)


@cache
def decoded_images(limit: int) -> ByteCache[Image.Image]:
    """The images that this process keeps; a run has one limit, so a process has one cache."""
    return ByteCache(limit, lambda image: image.width * image.height * len(image.getbands()))


@cache
def _digest(path: str) -> str:
    return hashlib.sha256(_read(path)).hexdigest()


@cache
def _size_of_file(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            path,
            found=error.strerror,
            hint="Prepared images must lie at the same path on every node.",
        ) from None
