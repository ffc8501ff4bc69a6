"""PIL image that travels as its path and is decoded on first access to its pixels."""

from __future__ import annotations

import uuid
from typing import Any

from PIL import ExifTags, Image

from rewardmap_verl.verl_plugin.image_references.crop_source import Source

__all__ = ["PreparedImage"]


class PreparedImage(Image.Image):
    """RGB image of a prepared file or of a crop, decoded lazily.

    verl sends the image of every rollout from the agent loop to vLLM's server. With pixels that is
    38 MB for 16,000 visual tokens, hashed again each time. This image pickles as its source,
    provides vLLM's cache key without decoding, and shares the pixels that its process has decoded.
    """

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self._mode = "RGB"
        self._size = source.size()
        self.readonly = 1  # the pixels are shared, so PIL must copy them before it writes

    def load(self) -> Any:
        """Decode the pixels unless this process has them. PIL calls this before it reads pixels."""
        if self._im is None:
            image = self.source.image()
            image.load()
            assert (image.size, image.mode) == (self._size, self._mode)
            self._im = image.im
        return super().load()

    def getexif(self) -> Image.Exif:
        """Return an ``ImageID`` in place of camera data: vLLM uses it as the hash of the image."""
        exif = Image.Exif()
        exif[ExifTags.Base.ImageID] = self.identity()
        return exif

    def identity(self) -> uuid.UUID:
        """Return an identifier of the pixels, equal for equal files and sizes in all processes."""
        return uuid.uuid5(uuid.NAMESPACE_OID, self.source.key())

    def __reduce__(self) -> Any:
        return PreparedImage, (self.source,)
