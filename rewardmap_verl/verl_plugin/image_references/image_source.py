"""Source of a map's pixels, cheap to send to another process."""

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
from rewardmap_verl.preparation.paths import PICTURE_FORMATS
from rewardmap_verl.verl_plugin.image_references.byte_cache import byte_cache

__all__ = ["ImageSource", "check_digest", "digest_of", "image_cache", "source_of"]

_SIZE_OPTIONS = ("min_pixels", "max_pixels")
"""Keys of an image message that bound its size. An image with any other key is left to verl."""


@dataclass(frozen=True, slots=True)
class ImageSource:
    """A prepared image file, and how verl would load it.

    Two sources are equal if and only if their pixels are: the source includes the file's digest, so
    a process on another node that finds a different file under the same path raises an error
    instead of training on it.
    """

    path: str
    """Absolute path; on a cluster, a path on shared storage."""
    digest: str
    """SHA-256 of the file."""
    options: tuple[tuple[str, int], ...]
    """Bounds on the number of pixels, by name, from the row."""
    patch_size: int
    """Side of a patch of the model's processor, in pixels. Image sides are rounded to multiples of
    twice this size."""
    cache_bytes: int
    """Bytes of images that a process may cache."""

    def image(self) -> Image.Image:
        """Return the image that verl would pass to a rollout, decoded once per process.

        Raises:
            DataError: As ``decode``.
        """
        image: Image.Image = image_cache(self.cache_bytes)(self, self.decode)
        return image

    def decode(self) -> Image.Image:
        """Decode the image that verl would pass to a rollout, without caching it.

        Raises:
            DataError: The file is missing, or has changed since this source was created.
        """
        from qwen_vl_utils.vision_process import fetch_image

        content = _read(self.path)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise _changed(self.path)
        image: Image.Image = fetch_image(
            {"image": Image.open(BytesIO(content), formats=PICTURE_FORMATS), **dict(self.options)},
            image_patch_size=self.patch_size,
        )
        return image

    def size(self) -> tuple[int, int]:
        """Return width and height of ``image`` in pixels, from the file's header alone."""
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

    def key(self) -> str:
        """Return a text that is equal for equal pixels in all processes."""
        return f"{self.digest} {self.options} {self.patch_size}"


def source_of(item: Mapping[str, Any], patch_size: int, cache_bytes: int) -> ImageSource | None:
    """Return the source of an image in a message.

    Args:
        item: For example ``{"type": "image", "image": "/data/images/4d05.png",
            "max_pixels": 401408}``.
        patch_size: Side of a patch of the model's processor, in pixels.
        cache_bytes: Bytes of images that a process may cache.

    Returns:
        ``None`` if the image is not a local file, or has keys other than the pixel bounds.

    Raises:
        DataError: The file does not exist.
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
    return ImageSource(path, digest_of(path), sizes, patch_size, cache_bytes)


def check_digest(path: str, digest: str) -> None:
    """Check that a file is the one that a source was made from; it is read once per process.

    Raises:
        DataError: The file is missing or has other content.
    """
    if digest_of(path) != digest:
        raise _changed(path)


def _changed(path: str) -> DataError:
    return DataError(
        path,
        found="a file that differs from the one the prompt was built from",
        hint="Do not change the prepared folder during a run, and keep it identical on all nodes.",
    )


@cache
def image_cache(limit: int) -> Any:
    """Return this process's cache of decoded images (``byte_cache``).

    A run has one limit, so a process has one cache.
    """
    return byte_cache(limit, lambda image: image.width * image.height * len(image.getbands()))


@cache
def digest_of(path: str) -> str:
    """Return the SHA-256 of a file, computed once per process."""
    return hashlib.sha256(_read(path)).hexdigest()


@cache
def _size_of_file(path: str) -> tuple[int, int]:
    with Image.open(path, formats=PICTURE_FORMATS) as image:
        return image.size


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            path,
            found=error.strerror,
            hint="Prepared images must exist under the same path on every node.",
        ) from None
