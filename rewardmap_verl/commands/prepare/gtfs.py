"""``rewardmap prepare gtfs``: networks from the feeds of transit agencies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.option_groups import option_groups
from rewardmap_verl.commands.prepare.run import run
from rewardmap_verl.commands.prepare.shared import (
    CommonOptions,
    QuestionOptions,
    SizeName,
    SizeOption,
    TestCities,
    build_settings,
)
from rewardmap_verl.preparation.settings import SIZES

__all__ = ["gtfs"]


@option_groups
def gtfs(
    feed: Annotated[
        list[Path],
        typer.Option(help="GTFS feed: a zip file or its folder. Repeat for several cities."),
    ],
    common: CommonOptions,
    questions: QuestionOptions,
    route_type: Annotated[
        list[int] | None,
        typer.Option(
            help="GTFS route_type to include. Repeat for several. "
            "[default: trams, metros and trains]"
        ),
    ] = None,
    size: SizeOption = SizeName.FULL,
    test_city: TestCities = None,
) -> None:
    """Draw the networks of GTFS feeds, one city for each feed, and ask about them.

    The city is named after the file. Stops are drawn where the feed places them.

    Example: **rewardmap prepare gtfs --feed feeds/my-town.zip --out data/my-town**
    """
    with readable_errors():
        settings = build_settings(
            "gtfs",
            SIZES[size.value],
            common,
            questions,
            feeds=tuple(feed),
            route_types=tuple(route_type) if route_type else None,
            style=SIZES[size.value].style,
            networks=SIZES[size.value].networks,
            test_cities=tuple(test_city) if test_city else None,
        )
        run(settings)
