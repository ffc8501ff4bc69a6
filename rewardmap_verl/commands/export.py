"""``rewardmap export``: a prepared folder in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.push_options import PrivateOption, PushOption
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.exports.write import ExportFormat, write_export

__all__ = ["export"]


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    format: Annotated[
        ExportFormat,
        typer.Argument(
            help="**sharegpt**: JSON and dataset_info.json for LLaMA-Factory. "
            "**vlmevalkit**: the table of its data set ReasonMap-Plus, from the test split. "
            "**hub**: a Hugging Face data set folder with a card. "
            "**gallery**: an HTML page with maps, questions and routes."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder to write. [default: FOLDER-FORMAT, beside FOLDER]"
        ),
    ] = None,
    license: Annotated[
        str, typer.Option(help="hub: license identifier for the data set card.")
    ] = "other",
    push: PushOption = None,
    private: PrivateOption = False,
) -> None:
    """Write a prepared folder in the format of another tool.

    Example: **rewardmap export data/synthetic gallery**

    For verl's SFT trainer, use **rewardmap sft-rows**.

    **rewardmap export data/synthetic hub --push OWNER/NAME** also uploads the data set.
    """
    from rewardmap_verl.preparation.hub_push import DATASET_FILES, push_folder

    folder = folder.resolve()
    target = out or folder.with_name(f"{folder.name}-{format.value}")
    with readable_errors():
        if push is not None and format is not ExportFormat.HUB:
            raise ConfigError("--push", found=format.value, hint="Only the format hub is uploaded.")
        files: list[object] = [*write_export(folder, format, target, license)]
        if push is not None:
            files.append(push_folder(target, push, "dataset", DATASET_FILES, private))
    for file in files:
        Console().print(str(file), highlight=False, soft_wrap=True, markup=False)
