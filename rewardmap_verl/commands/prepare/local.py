"""``rewardmap prepare local``: the user's own map images and station lists."""

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

__all__ = ["local"]


@option_groups
def local(
    root: Annotated[
        Path,
        typer.Option(help="Folder with maps/COUNTRY/CITY.png and stations/COUNTRY/CITY.json."),
    ],
    common: CommonOptions,
    questions: QuestionOptions,
    size: SizeOption = SizeName.FULL,
    test_city: TestCities = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail on a city without an image instead of skipping it."),
    ] = False,
) -> None:
    """Use your own map images and station lists.

    For each city, put a picture of the map in maps/COUNTRY/CITY.png and its lines in
    stations/COUNTRY/CITY.json: {"Line 1": ["First Stop", "Second Stop"], …}. PNG, JPEG, WebP, TIFF,
    BMP and GIF images work.

    Example: **rewardmap prepare local --root my-cities --out data/my-cities**
    """
    with readable_errors():
        settings = build_settings(
            "local",
            SIZES[size.value],
            common,
            questions,
            root=root,
            test_cities=tuple(test_city) if test_city else None,
            strict=strict,
        )
        run(settings)
