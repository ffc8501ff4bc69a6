"""Draw transit maps: a placed network becomes a schematic map as PNG and SVG.

The pixel positions of labels, stops, lines and legend are known, so every question about a map can
be checked against it.
"""

from rewardmap_verl.drawing.geographic_layout import layout_from_coordinates
from rewardmap_verl.drawing.render import DrawnMap, LabelBox, LegendBox, draw_map
from rewardmap_verl.drawing.style import MapStyle, standard_style, style_at, tiny_style

__all__ = [
    "DrawnMap",
    "LabelBox",
    "LegendBox",
    "MapStyle",
    "draw_map",
    "layout_from_coordinates",
    "standard_style",
    "style_at",
    "tiny_style",
]
