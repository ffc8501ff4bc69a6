"""``rewardmap prepare reasonmap``: the published data sets with their own questions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.option_groups import option_groups
from rewardmap_verl.commands.prepare.run import run
from rewardmap_verl.commands.prepare.shared import CommonOptions, SizeName, build_settings
from rewardmap_verl.preparation.settings import SIZES
from rewardmap_verl.preparation.sources.reasonmap import MAPS_FROM, PUBLISHED

__all__ = ["reasonmap"]


@option_groups
def reasonmap(
    common: CommonOptions,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set to take questions from: a name on the Hugging Face Hub, a folder "
            "written by save_to_disk, or a folder of parquet files. Append `:SPLIT` for a single "
            f"split. Repeat for several. [default: {', '.join(PUBLISHED)}]",
        ),
    ] = None,
    maps_from: Annotated[
        list[str] | None,
        typer.Option(
            help="Data set whose rows contain the map images and networks that others refer to. "
            f"Repeat for several. [default: {', '.join(MAPS_FROM)}]",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder with maps/COUNTRY/CITY.png and stations/COUNTRY/CITY.json, for rows that "
            "refer to maps and networks by path."
        ),
    ] = None,
    size: Annotated[
        SizeName,
        typer.Option(
            help="**full**: the pixel budget of Qwen2.5-VL. **tiny**: at most 36 visual tokens, "
            "for the embedded model."
        ),
    ] = SizeName.FULL,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail if a city or a question would be dropped."),
    ] = False,
) -> None:
    """Use the published ReasonMap data sets, with their questions and answers.

    Example: **rewardmap prepare reasonmap --out data/rewardmap**

    From files on this machine: **rewardmap prepare reasonmap --data downloads/ReasonMap-Train
    --data downloads/ReasonMap-Plus:test --root downloads --out data/rewardmap**

    To generate questions about the same maps, use **rewardmap prepare local**.
    """
    with readable_errors():
        settings = build_settings(
            "reasonmap",
            SIZES[size.value],
            common,
            root=root,
            data=tuple(data) if data else None,
            maps_from=tuple(maps_from) if maps_from else None,
            strict=strict,
        )
        run(settings)
