"""Reading a large PNG in horizontal strips, to limit memory.

Pillow decodes a PNG at once with four bytes per pixel: the largest map of ReasonMap (14,032 x
19,843) takes 1.1 GB. Here the compressed stream is inflated a few rows at a time. Each strip is
wrapped as a small PNG that starts with the last row of the strip above, because PNG filters refer
to the row above, and Pillow decodes it at full speed.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

__all__ = ["PngHeader", "read_header", "read_strips"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_STRIP_PIXELS = 4_000_000


@dataclass(frozen=True, slots=True)
class PngHeader:
    """The fields of the IHDR chunk that are needed here."""

    width: int
    height: int
    depth: int  # bits per channel: 1, 2, 4, 8 or 16
    color: int  # PNG color type: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGBA
    interlaced: bool

    @property
    def streamable(self) -> bool:
        """Whether ``read_strips`` supports the file: 8 bits per channel, not interlaced."""
        return self.depth == 8 and not self.interlaced and self.color in _CHANNELS

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of an 8-bit image, without the filter byte."""
        return self.width * _CHANNELS[self.color]


def read_header(path: Path) -> PngHeader | None:
    """Read the header of a PNG; None for other files."""
    with path.open("rb") as stream:
        start = stream.read(33)
    if len(start) < 33 or start[:8] != _SIGNATURE or start[12:16] != b"IHDR":
        return None
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", start[16:29])
    return PngHeader(width, height, depth, color, bool(interlace))


def read_strips(path: Path, header: PngHeader) -> Iterator[Image.Image]:
    """Yield strips of full width from top to bottom, in the color mode of the file.

    Args:
        path: A PNG whose ``header.streamable`` is true.
        header: The result of ``read_header`` for it.

    Raises:
        ValueError: The file is truncated, or a checksum or the compressed data is wrong.
    """
    rows_per_strip = max(1, _STRIP_PIXELS // header.width)
    with path.open("rb") as stream:
        palette, data = _split(_chunks(stream))
        rows = _Inflater(data)
        above = b""
        for top in range(0, header.height, rows_per_strip):
            count = min(rows_per_strip, header.height - top)
            filtered = rows.take(count * (header.row_bytes + 1))
            strip = _decode(header, palette, above, filtered)
            above = strip.crop((0, count - 1, header.width, count)).tobytes()
            yield strip


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and payload of each chunk, with verified checksums."""
    stream.seek(len(_SIGNATURE))
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise ValueError("the file ends before its last chunk")
        length, kind = struct.unpack(">I4s", head)
        payload, checksum = stream.read(length), stream.read(4)
        if len(payload) < length or len(checksum) < 4:
            raise ValueError("the file ends in the middle of a chunk")
        if zlib.crc32(payload, zlib.crc32(kind)).to_bytes(4, "big") != checksum:
            raise ValueError(f"the checksum of a {kind!r} chunk is wrong")
        yield kind, payload
        if kind == b"IEND":
            return


def _split(chunks: Iterator[tuple[bytes, bytes]]) -> tuple[bytes, Iterator[bytes]]:
    """Return the color chunks (PLTE, tRNS) as bytes, and the image data as a stream."""
    palette = b""
    for kind, payload in chunks:
        if kind in (b"PLTE", b"tRNS"):
            palette += _chunk(kind, payload)
        if kind == b"IDAT":
            return palette, _image_data(payload, chunks)
    raise ValueError("the file has no image data")


def _image_data(first: bytes, rest: Iterator[tuple[bytes, bytes]]) -> Iterator[bytes]:
    yield first
    for kind, payload in rest:
        if kind == b"IDAT":
            yield payload


class _Inflater:
    """Decompressor of a stream that never produces more bytes than requested."""

    def __init__(self, data: Iterator[bytes]) -> None:
        self._data = data
        self._inflate = zlib.decompressobj()
        self._waiting = b""

    def take(self, count: int) -> bytes:
        """Return the next ``count`` decompressed bytes."""
        parts: list[bytes] = []
        missing = count
        while missing:
            source = self._waiting or next(self._data, b"")
            if not source or self._inflate.eof:
                raise ValueError("the image data ends too early")
            try:
                part = self._inflate.decompress(source, missing)
            except zlib.error as error:
                raise ValueError(f"the compressed data is damaged ({error})") from error
            self._waiting = self._inflate.unconsumed_tail
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _decode(header: PngHeader, palette: bytes, above: bytes, filtered: bytes) -> Image.Image:
    """Decode a strip; ``above`` is the decoded row above it, empty for the first strip."""
    rows = b"".join((b"\0", above, filtered)) if above else filtered  # filter type 0: unfiltered
    height = len(rows) // (header.row_bytes + 1)
    size = struct.pack(">IIBBBBB", header.width, height, 8, header.color, 0, 0, 0)
    png = b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", size),
            palette,
            _chunk(b"IDAT", zlib.compress(rows, 0)),
            _chunk(b"IEND", b""),
        )
    )
    image = Image.open(io.BytesIO(png), formats=("PNG",))
    image.load()
    if not above:
        return image
    # ``crop`` drops ``info``, and with it a transparent color.
    strip = image.crop((0, 1, header.width, height))
    strip.info = dict(image.info)
    return strip


def _chunk(kind: bytes, payload: bytes) -> bytes:
    checksum = zlib.crc32(payload, zlib.crc32(kind)).to_bytes(4, "big")
    return b"".join((struct.pack(">I", len(payload)), kind, payload, checksum))
