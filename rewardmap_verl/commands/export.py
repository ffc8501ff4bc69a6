"""``rewardmap export``: a prepared folder in the form of another tool."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rewardmap_verl.commands.failure import readable_errors

__all__ = ["export"]


class Form(str, Enum):
    """Forms of other tools."""

    SHAREGPT = "sharegpt"
    VLMEVALKIT = "vlmevalkit"
    HUB = "hub"
    GALLERY = "gallery"


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    form: Annotated[
        Form,
        typer.Argument(
            help="**sharegpt**: JSON for LLaMA-Factory with its dataset_info.json. "
            "**vlmevalkit**: the table of its data set ReasonMap-Plus, from the test split. "
            "**hub**: a Hugging Face data set folder with a card. "
            "**gallery**: a page with maps, questions and routes."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write [FOLDER-FORM, beside the folder].")
    ] = None,
    license: Annotated[
        str, typer.Option(help="hub: identifier of the license that the card names.")
    ] = "other",
) -> None:
    """Write a prepared folder in the form of another tool.

    Try it: **rewardmap export data/synthetic gallery**

    For verl's own SFT trainer there is **rewardmap sft-rows**.
    """
    from rewardmap_verl.preparation.atomic import disk_errors
    from rewardmap_verl.preparation.exports.gallery import export_gallery
    from rewardmap_verl.preparation.exports.hub import export_hub
    from rewardmap_verl.preparation.exports.sharegpt import export_sharegpt
    from rewardmap_verl.preparation.exports.vlmevalkit import export_vlmevalkit
    from rewardmap_verl.preparation.manifest import read_manifest

    folder = folder.resolve()
    target = out or folder.with_name(f"{folder.name}-{form.value}")
    writers = {
        Form.SHAREGPT: export_sharegpt,
        Form.VLMEVALKIT: export_vlmevalkit,
        Form.GALLERY: export_gallery,
    }
    with readable_errors(), disk_errors(target):
        manifest = read_manifest(folder)
        if form is Form.HUB:
            files = export_hub(folder, manifest, target, license)
        else:
            files = writers[form](folder, manifest, target)
    for file in files:
        Console().print(str(file), highlight=False, soft_wrap=True, markup=False)
