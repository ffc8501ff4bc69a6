"""GTFS source: networks of transit feeds, drawn by this package from the positions of the stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rewardmap_verl.drawing import MapStyle, layout_from_coordinates
from rewardmap_verl.drawing.pocket_map import PocketStyle
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.paths import safe_name
from rewardmap_verl.preparation.sources.base import City, Contents
from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES, Located, network_of_feed
from rewardmap_verl.preparation.sources.gtfs_tables import Feed
from rewardmap_verl.preparation.sources.synthetic import DrawnPicture
from rewardmap_verl.preparation.splits import assign_splits
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.placement import PlacedNetwork

__all__ = ["COUNTRY", "MAX_STOPS", "locate_feed", "place_network", "read_gtfs"]

COUNTRY = "gtfs"
"""The country of every feed, since a feed does not name one."""

MAX_STOPS = 400
"""Stops that a drawn map can show with legible names."""


def read_gtfs(
    feeds: Sequence[Path],
    seed: int,
    style: MapStyle | PocketStyle,
    test_cities: Sequence[str] | None = None,
    route_types: Sequence[int] = RAIL_TYPES,
) -> Contents:
    """Read one city from each feed, named after its file or folder.

    Args:
        feeds: Zip files or folders.
        seed: Seed of the choice of test cities.
        style: Style of the maps.
        test_cities: See ``assign_splits``.
        route_types: Values of ``route_type`` to include.

    Raises:
        ConfigError: No feed is given, two have the same name, or a test city does not exist.
        DataError: A feed cannot be read.
    """
    if not feeds:
        raise ConfigError("feed", hint="Pass a GTFS feed with --feed: a zip file or its folder.")
    placed: dict[str, PlacedNetwork] = {}
    notes: list[str] = []
    for path in feeds:
        key = f"{COUNTRY}/{_city(path)}"
        if key in placed:
            hint = "Two feeds have this name; rename one."
            raise ConfigError("feed", found=_city(path), hint=hint)
        located = locate_feed(path, route_types)
        placed[key] = place_network(located)
        notes += (f"{_city(path)}: {note}" for note in located.notes)
    grades = grade_maps(place.network for place in placed.values())
    splits, split_notes = assign_splits(sorted(placed), test_cities, seed)
    cities = tuple(
        City(
            placed[key].network,
            grades[COUNTRY, placed[key].network.city],
            splits[key],
            DrawnPicture(placed[key], style),
        )
        for key in sorted(placed)
    )
    return Contents(cities, notes=(*notes, *split_notes))


def _city(path: Path) -> str:
    return safe_name(path.resolve().stem, path, "file name")


def locate_feed(path: Path, route_types: Sequence[int] = RAIL_TYPES) -> Located:
    """Read the network of a feed, with positions and notes.

    Raises:
        DataError: The feed cannot be read.
    """
    return network_of_feed(Feed(path), COUNTRY, _city(path), route_types)


def place_network(located: Located) -> PlacedNetwork:
    """Lay out a network by the positions of its stops.

    Raises:
        DataError: The network has more stops than a drawn map can show.
    """
    network = located.network
    if len(network.stops) > MAX_STOPS:
        raise DataError(
            f"{network.country}/{network.city}",
            "stops",
            len(network.stops),
            f"A drawn map shows at most {MAX_STOPS}. Choose fewer types of routes (--route-type).",
        )
    title = network.city.replace("_", " ").title()
    placed = layout_from_coordinates(network, _unwrapped(located.places), title)
    return replace(placed, language=located.language, walks=located.walks)


def _unwrapped(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Shift longitudes by half a turn if the network crosses the 180th meridian."""
    longitudes = sorted(longitude for _, longitude in places)
    if not longitudes or longitudes[-1] - longitudes[0] <= 180:
        return list(places)
    return [(latitude, longitude % 360 - 180) for latitude, longitude in places]
