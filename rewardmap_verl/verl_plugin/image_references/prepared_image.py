"""An image that is decoded where somebody looks at its pixels, and travels as its path."""

from __future__ import annotations

import uuid
from typing import Any

from PIL import ExifTags, Image

from rewardmap_verl.verl_plugin.image_references.image_source import ImageSource

__all__ = ["PreparedImage"]


class PreparedImage(Image.Image):
    """A PIL image of an :class:`ImageSource`, in RGB.

    verl sends every rollout's image from its agent loop to vLLM's server: with pixels that is
    38 MB for 16,000 visual tokens, each decoded and hashed anew. This one is pickled as its source,
    names its content to vLLM's cache without a look at it, and shares the pixels that its process
    has decoded.
    """

    def __init__(self, source: ImageSource) -> None:
        super().__init__()
        self.source = source
        self._mode = "RGB"
        self._size = source.size()
        self.readonly = 1  # the pixels are shared: PIL copies them before it writes

    def load(self) -> Any:
        """Decode the pixels, unless this process has them; called by whatever in PIL needs them."""
        if self._im is None:
            image = self.source.image()
            image.load()
            assert (image.size, image.mode) == (self._size, self._mode)
            self._im = image.im
        return super().load()

    def getexif(self) -> Image.Exif:
        """An identity in place of the camera's data: vLLM takes it for the hash of the image."""
        exif = Image.Exif()
        exif[ExifTags.Base.ImageID] = self.identity()
        return exif

    def identity(self) -> uuid.UUID:
        """Of the pixels: equal for equal files and sizes, in every process."""
        source = self.source
        return uuid.uuid5(
            uuid.NAMESPACE_OID, f"{source.digest} {source.options} {source.patch_size}"
        )

    def __reduce__(self) -> Any:
        return PreparedImage, (self.source,)
