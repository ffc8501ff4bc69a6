"""Source of a crop's pixels: the original map and a region of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rewardmap_verl.verl_plugin.image_references.image_source import (
    ImageSource,
    check_digest,
    image_cache,
)
from rewardmap_verl.zoom.crops import Crop, read_crop

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["CropSource", "Source"]


@dataclass(frozen=True, slots=True)
class CropSource:
    """A region of an original map. Equal sources have equal pixels."""

    path: str
    """Absolute path of the original; on a cluster, a path on shared storage."""
    digest: str
    """SHA-256 of the original."""
    crop: Crop
    """Region, and the size at which the model sees it."""
    cache_bytes: int
    """Bytes of images that a process may cache."""

    def image(self) -> Image.Image:
        """Return the crop, read once per process.

        Raises:
            DataError: As ``decode``.
        """
        image: Image.Image = image_cache(self.cache_bytes)(self, self.decode)
        return image

    def decode(self) -> Image.Image:
        """Read the crop without caching it.

        Raises:
            DataError: The original is missing, damaged, or differs from the one of the rollout.
        """
        check_digest(self.path, self.digest)
        return read_crop(self.path, self.crop)

    def size(self) -> tuple[int, int]:
        """Return width and height in pixels."""
        return self.crop.size

    def key(self) -> str:
        """Return a text that is equal for equal pixels in all processes."""
        return f"{self.digest} {self.crop.region} {self.crop.size}"


Source = ImageSource | CropSource
"""What an image is made from."""
