"""The style of a map: colors, and sizes in pixels at scale 1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rewardmap_verl.errors import ConfigError

Scenery = Literal["zones", "water", "grid"]


class MapStyle(BaseModel):
    """Sizes and colors of a map. All lengths are pixels of a map drawn at scale 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: float = Field(default=88, gt=0)
    """Distance between adjacent grid nodes, before the grid is enlarged to make room for labels."""
    line_width: float = Field(default=12, gt=0)
    lane_gap: float = Field(default=3, ge=0)
    """Free space between lines on shared track."""
    bend_radius: float = Field(default=48, ge=0)
    stop_radius: float = Field(default=8, gt=0)
    interchange_radius: float = Field(default=13, gt=0)
    ring_width: float = Field(default=4, gt=0)
    """Width of the dark outline of stop symbols."""
    font_size: float = Field(default=22, ge=8)
    legend_font_size: float = Field(default=28, ge=8)
    title_font_size: float = Field(default=60, ge=0)
    """Height of the title; 0 omits it."""
    label_gap: float = Field(default=6, ge=0)
    """Free space between a stop symbol and its label, and around labels."""
    margin: float = Field(default=72, ge=0)
    legend_place: Literal["right", "bottom"] = "right"
    """Where the legend goes if no corner of the map is free."""
    rotated_labels: bool = True
    """Whether labels may be rotated by 45 degrees."""
    bold_labels: bool = False
    badges: bool = True
    """Whether the ends of lines carry a badge with the short name of the line."""
    scenery: tuple[Scenery, ...] = ()
    """What is drawn below the network."""
    background: str = "#ffffff"
    ink: str = "#20262e"
    """Color of text and of the outlines of stop symbols."""
    paper: str = "#ffffff"
    """Fill color of stop symbols."""


def standard_style() -> MapStyle:
    """Return the style of a printed network map, 2,000 to 3,000 pixels wide."""
    return MapStyle()


def style_at(difficulty: float) -> MapStyle:
    """Return the style for a difficulty, 0 to 1: harder maps have smaller names and more scenery.

    Use it with ``transit.synthetic.settings_at``.

    Raises:
        ConfigError: The difficulty is not within 0 to 1.
    """
    if not 0 <= difficulty <= 1:
        raise ConfigError("difficulty", "", difficulty, "Pass a number from 0 to 1.")
    scenery: tuple[tuple[float, Scenery], ...] = ((0.25, "water"), (0.5, "zones"), (0.75, "grid"))
    return MapStyle(
        font_size=round(26 - 6 * difficulty),
        badges=difficulty < 0.9,
        scenery=tuple(kind for least, kind in scenery if difficulty >= least),
    )


def tiny_style() -> MapStyle:
    """Return a style for downscaled maps, 450 to 900 pixels wide: thick lines, large names."""
    return MapStyle(
        unit=84,
        line_width=18,
        bend_radius=50,
        stop_radius=13,
        interchange_radius=20,
        ring_width=6,
        font_size=28,
        legend_font_size=28,
        title_font_size=0,
        label_gap=5,
        margin=28,
        legend_place="bottom",
        rotated_labels=False,
        badges=False,
        bold_labels=True,
    )
