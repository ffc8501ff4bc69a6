"""Line colors that are easy to tell apart on white, the most distinct first."""

from __future__ import annotations

PALETTE: tuple[tuple[str, str], ...] = (
    ("Red", "#d62828"),
    ("Blue", "#1f5fc4"),
    ("Green", "#1f9d4d"),
    ("Orange", "#f28c1b"),
    ("Purple", "#7b3fa0"),
    ("Brown", "#8a5a33"),
    ("Pink", "#ee7fb2"),
    ("Cyan", "#22b6d8"),
    ("Yellow", "#f2c91d"),
    ("Grey", "#8b949c"),
    ("Lime", "#9ccb3b"),
    ("Navy", "#1b2a63"),
    ("Magenta", "#cf1f8d"),
    ("Teal", "#0d8078"),
    ("Maroon", "#7c1530"),
    ("Olive", "#86822a"),
    ("Lavender", "#b3a1e6"),
    ("Salmon", "#f79a83"),
    ("Black", "#30343a"),
    ("Mint", "#84d8b4"),
)
