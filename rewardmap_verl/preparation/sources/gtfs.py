"""Transit feeds of the world: networks from GTFS, drawn here with stops where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rewardmap_verl.drawing import MapStyle, layout_from_coordinates
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.preparation.paths import safe_name
from rewardmap_verl.preparation.sources.base import City, Contents
from rewardmap_verl.preparation.sources.gtfs_network import RAIL_TYPES, Located, network_of_feed
from rewardmap_verl.preparation.sources.gtfs_tables import Feed
from rewardmap_verl.preparation.sources.synthetic import DrawnPicture
from rewardmap_verl.preparation.splits import assign_splits
from rewardmap_verl.transit.difficulty import grade_maps
from rewardmap_verl.transit.placement import PlacedNetwork

__all__ = ["COUNTRY", "MOST_STOPS", "place_feed", "place_of_feed", "read_gtfs"]

COUNTRY = "gtfs"
"""What stands for the country: a feed does not name one."""

MOST_STOPS = 400
"""Stops that a drawn map can show with legible names."""


def read_gtfs(
    feeds: Sequence[Path],
    seed: int,
    style: MapStyle,
    test_cities: Sequence[str] | None = None,
    route_types: Sequence[int] = RAIL_TYPES,
) -> Contents:
    """Read one city from each feed; it is called as the file or folder of the feed.

    Args:
        feeds: Zip files or folders.
        seed: For the choice of test cities.
        style: What the maps look like.
        test_cities: See :func:`~rewardmap_verl.preparation.splits.assign_splits`.
        route_types: Kinds of routes to take.

    Raises:
        ConfigError: No feed is given, two have the same name, or a test city is not there.
        DataError: A feed cannot be read.
    """
    if not feeds:
        raise ConfigError("feed", hint="Give a GTFS feed with --feed: a zip file or its folder.")
    placed = {}
    for path in feeds:
        key = f"{COUNTRY}/{_city(path)}"
        if key in placed:
            hint = "Two feeds have this name; rename one."
            raise ConfigError("feed", found=_city(path), hint=hint)
        placed[key] = place_of_feed(path, route_types)
    grades = grade_maps(place.network for place in placed.values())
    splits, notes = assign_splits(sorted(placed), test_cities, seed)
    cities = tuple(
        City(
            placed[key].network,
            grades[COUNTRY, placed[key].network.city],
            splits[key],
            DrawnPicture(placed[key], style),
        )
        for key in sorted(placed)
    )
    return Contents(cities, notes=notes)


def _city(path: Path) -> str:
    return safe_name(path.resolve().stem, path, "file name")


def place_of_feed(path: Path, route_types: Sequence[int] = RAIL_TYPES) -> PlacedNetwork:
    """Read a feed and lay out its network.

    Raises:
        DataError: The feed cannot be read, or is too large for a map.
    """
    return place_feed(network_of_feed(Feed(path), COUNTRY, _city(path), route_types))


def place_feed(located: Located) -> PlacedNetwork:
    """Lay out a network by where its stops lie.

    Raises:
        DataError: The network has more stops than a drawn map can show.
    """
    network = located.network
    if len(network.stops) > MOST_STOPS:
        raise DataError(
            f"{network.country}/{network.city}",
            "stops",
            len(network.stops),
            f"A drawn map shows at most {MOST_STOPS}; take fewer kinds of routes (--route-type).",
        )
    title = network.city.replace("_", " ").title()
    return layout_from_coordinates(network, located.places, title)
