"""Write a scene as SVG: the same shapes at the same positions, text as text."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from rewardmap_verl.drawing.fonts import FAMILIES, embedded_family, is_right_to_left, printable
from rewardmap_verl.drawing.scene import Area, Disc, Point, Scene, Shape, Stroke, Text
from rewardmap_verl.drawing.svg_fonts import font_faces


def svg_text(scene: Scene) -> str:
    """Return the scene as an SVG document."""
    size = f'width="{_number(scene.width)}" height="{_number(scene.height)}"'
    view = f'viewBox="0 0 {_number(scene.width)} {_number(scene.height)}"'
    style = font_faces(shape for shape in scene.shapes if isinstance(shape, Text))
    rows = [
        (f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} font-family="{FAMILIES}">'),
        f'<rect width="100%" height="100%" fill={quoteattr(scene.background)}/>',
        *([f"<style>{style}</style>"] if style else []),
        *(_element(shape) for shape in scene.shapes),
        "</svg>",
    ]
    return "\n".join(rows) + "\n"


def _element(shape: Shape) -> str:
    match shape:
        case Stroke(points, width, color):
            return (
                f'<polyline points="{_points(points)}" fill="none" stroke={quoteattr(color)} '
                f'stroke-width="{_number(width)}" stroke-linecap="round" stroke-linejoin="round"/>'
            )
        case Disc((x, y), radius, color):
            place = f'cx="{_number(x)}" cy="{_number(y)}" r="{_number(radius)}"'
            return f"<circle {place} fill={quoteattr(color)}/>"
        case Area(points, color):
            return f'<polygon points="{_points(points)}" fill={quoteattr(color)}/>'
        case Text():
            return _text(shape)


def _text(text: Text) -> str:
    x, y = (_number(value) for value in text.origin)
    turned = f' transform="rotate({text.angle} {x} {y})"' if text.angle else ""
    bold = ' font-weight="bold"' if text.bold else ""
    drawn = printable(text.text)
    family = embedded_family(drawn)
    face = f" font-family={quoteattr(family.name)}" if family else ""
    # With direction rtl, the end of a text is its left side, which is where its origin is.
    order = ' direction="rtl" text-anchor="end"' if is_right_to_left(drawn) else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{_number(text.size)}" fill={quoteattr(text.color)} '
        f'textLength="{_number(text.width)}" lengthAdjust="spacingAndGlyphs"'
        f"{bold}{face}{order}{turned}>{escape(drawn)}</text>"
    )


def _points(points: tuple[Point, ...]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
