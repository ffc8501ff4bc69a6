"""Paint a scene as an antialiased image, identical on every machine.

Shapes are painted at three times the size in tiles and averaged down, so memory does not grow with
the square of the oversampling. The font library antialiases text.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence

from PIL import Image, ImageDraw

from rewardmap_verl.drawing.fonts import font_for, printable, shaping_options
from rewardmap_verl.drawing.scene import (
    Area,
    Box,
    Disc,
    Point,
    Scene,
    Shape,
    Stroke,
    Text,
    scaled_box,
    shape_box,
)

_OVERSAMPLING = 3
_TILE = 768
_PNG_LEVEL = 6
_HALF = 0.5**0.5


def paint(scene: Scene, scale: float = 1.0) -> Image.Image:
    """Return the scene as an RGB image at ``scale``."""
    size = (round(scene.width * scale), round(scene.height * scale))
    image = Image.new("RGB", size, scene.background)
    for is_text, run in _runs(scene.shapes):
        if is_text:
            _paint_texts(image, run, scale)
        else:
            _paint_shapes(image, run, scale)
    return image


def png_bytes(image: Image.Image) -> bytes:
    """Return the image as PNG with fixed settings and without a time stamp."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _runs(shapes: Sequence[Shape]) -> Iterator[tuple[bool, list[Shape]]]:
    """Yield runs of consecutive shapes that are all text or all not text."""
    run: list[Shape] = []
    for shape in shapes:
        if run and isinstance(run[0], Text) != isinstance(shape, Text):
            yield isinstance(run[0], Text), run
            run = []
        run.append(shape)
    if run:
        yield isinstance(run[0], Text), run


def _paint_shapes(image: Image.Image, shapes: list[Shape], scale: float) -> None:
    boxes = [scaled_box(shape_box(shape), scale) for shape in shapes]
    for top in range(0, image.height, _TILE):
        for left in range(0, image.width, _TILE):
            tile = (left, top, min(left + _TILE, image.width), min(top + _TILE, image.height))
            inside = [s for s, box in zip(shapes, boxes, strict=True) if _touch(tile, box)]
            if inside:
                image.paste(_paint_tile(image.crop(tile), inside, scale, tile), tile[:2])


def _paint_tile(below: Image.Image, shapes: list[Shape], scale: float, tile: Box) -> Image.Image:
    k = _OVERSAMPLING
    large = below.resize((below.width * k, below.height * k), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(large)
    for shape in shapes:
        _draw(draw, shape, scale * k, -tile[0] * k, -tile[1] * k)
    return large.reduce(k)


def _draw(draw: ImageDraw.ImageDraw, shape: Shape, k: float, dx: float, dy: float) -> None:
    def at(point: Point) -> Point:
        return point[0] * k + dx - 0.5, point[1] * k + dy - 0.5

    match shape:
        case Disc(center, radius, color):
            draw.ellipse(_around(at(center), radius * k), fill=color)
        case Area(points, color):
            draw.polygon([at(point) for point in points], fill=color)
        case Stroke(points, width, color):
            half = width * k / 2
            placed = [at(point) for point in points]
            for a, b in itertools.pairwise(placed):
                if a != b:
                    draw.polygon(_band(a, b, half), fill=color)
            for point in placed:
                draw.ellipse(_around(point, half), fill=color)


def _around(center: Point, radius: float) -> Box:
    return center[0] - radius, center[1] - radius, center[0] + radius, center[1] + radius


def _band(a: Point, b: Point, half: float) -> list[Point]:
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5
    nx, ny = -dy / length * half, dx / length * half
    return [
        (a[0] + nx, a[1] + ny),
        (b[0] + nx, b[1] + ny),
        (b[0] - nx, b[1] - ny),
        (a[0] - nx, a[1] - ny),
    ]


def _touch(a: Box, b: Box) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _paint_texts(image: Image.Image, texts: list[Shape], scale: float) -> None:
    draw = ImageDraw.Draw(image)
    for text in texts:
        assert isinstance(text, Text)
        x, y = text.origin[0] * scale, text.origin[1] * scale
        if text.angle:
            _paint_rotated(image, text, (x, y), scale)
        else:
            drawn = printable(text.text)
            font = font_for(drawn, _fitting_size(text, scale), text.bold)
            options = shaping_options(drawn)
            if text.centered:
                x += max(0.0, text.width * scale - font.getlength(drawn, **options)) / 2
            at = round(x), round(y)
            draw.text(at, drawn, text.color, font, anchor="ls", **options)


def _fitting_size(text: Text, scale: float) -> float:
    """Return the font size at this scale, reduced if rounded glyph widths exceed the room."""
    size = text.size * scale
    room = text.width * scale + 1
    drawn = printable(text.text)
    options = shaping_options(drawn)
    while size > 4 and font_for(drawn, size, text.bold).getlength(drawn, **options) > room:
        size -= max(0.25, size / 100)
    return size


def _paint_rotated(image: Image.Image, text: Text, origin: Point, scale: float) -> None:
    """Draw the text at twice the size, rotate it about its center, reduce it and paste it."""
    k = 2
    drawn = printable(text.text)
    font, options = (
        font_for(drawn, _fitting_size(text, scale) * k, text.bold),
        shaping_options(drawn),
    )
    pad = 4 * k
    box = font.getbbox(drawn, anchor="ls", **options)
    left, top, right, bottom = (int(value) for value in box)
    mask = Image.new("L", (right - left + 2 * pad, bottom - top + 2 * pad), 0)
    ImageDraw.Draw(mask).text((pad - left, pad - top), drawn, 255, font, anchor="ls", **options)
    turned = mask.rotate(-text.angle, Image.Resampling.BICUBIC, expand=True)
    dx, dy = (left + right) / 2 / k, (top + bottom) / 2 / k
    sin = _HALF if text.angle > 0 else -_HALF
    middle = (origin[0] + dx * _HALF - dy * sin, origin[1] + dx * sin + dy * _HALF)
    stamp = turned.crop((0, 0, *_even(turned.size, k))).reduce(k)
    corner = (round(middle[0] - stamp.width / 2), round(middle[1] - stamp.height / 2))
    image.paste(text.color, (*corner, corner[0] + stamp.width, corner[1] + stamp.height), stamp)


def _even(size: tuple[int, int], k: int) -> tuple[int, int]:
    return size[0] + -size[0] % k, size[1] + -size[1] % k
