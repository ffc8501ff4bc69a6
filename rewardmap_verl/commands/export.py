"""``rewardmap export``: a prepared folder in the format of another tool."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from rewardmap_verl.commands.failure import readable_errors
from rewardmap_verl.commands.push_options import PrivateOption, PushOption
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.exports.write import ExportFormat, Writer, write_export
from rewardmap_verl.zoom.traces import Reasoning

__all__ = ["export"]


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that `rewardmap prepare` wrote.")],
    format: Annotated[
        ExportFormat,
        typer.Argument(
            help="**sharegpt**: JSON and dataset_info.json for LLaMA-Factory. "
            "**vlmevalkit**: the table of its data set ReasonMap-Plus, from the test split. "
            "**hub**: a Hugging Face data set folder with a card. "
            "**gallery**: an HTML page with maps, questions and routes. "
            "**verl**: parquet for verl's SFT trainer, for conversations that reason."
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
    reasoning: Annotated[
        Reasoning,
        typer.Option(
            help="sharegpt, verl: what precedes the answer. **text**: what the map shows, leg by "
            "leg. **zoom**: the same in turns that call the zoom tool; the data must have been "
            "prepared with --keep-originals."
        ),
    ] = Reasoning.NONE,
    zoom: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Setting of the zoom tool, such as max_calls=2; repeatable. Use those of the run "
            "(data.zoom). [default: those of the option zoom]",
        ),
    ] = None,
    by_parts: Annotated[
        bool,
        typer.Option(
            "--by-parts",
            help="--reasoning zoom: look through drawn maps part by part, too, and not at each "
            "stop; for overviews that do not show where a stop is.",
        ),
    ] = False,
    push: PushOption = None,
    private: PrivateOption = False,
) -> None:
    """Write a prepared folder in the format of another tool.

    Example: **rewardmap export data/synthetic gallery**

    **rewardmap export data/maps verl --reasoning zoom** writes conversations that zoom to the stops
    of a question before they answer, for verl's SFT trainer. For answers alone, use
    **rewardmap sft-rows**.

    **rewardmap export data/synthetic hub --push OWNER/NAME** also uploads the data set.
    """
    from rewardmap_verl.preparation.hub_push import DATASET_FILES, push_folder

    folder = folder.resolve()
    target = out or folder.with_name(f"{folder.name}-{format.value}")
    with readable_errors():
        if push is not None and format is not ExportFormat.HUB:
            raise ConfigError("--push", found=format.value, hint="Only the format hub is uploaded.")
        if reasoning is not Reasoning.ZOOM and (zoom or by_parts):
            option, found = ("--zoom", zoom[0]) if zoom else ("--by-parts", reasoning.value)
            raise ConfigError(option, found=found, hint="It needs --reasoning zoom.")
        writer = _trace_writer(format, target, reasoning, zoom or (), by_parts)
        files: list[object] = [*write_export(folder, format, target, license, writer)]
        if push is not None:
            files.append(push_folder(target, push, "dataset", DATASET_FILES, private))
    for file in files:
        Console().print(str(file), highlight=False, soft_wrap=True, markup=False)


def _trace_writer(
    format: ExportFormat,
    target: Path,
    reasoning: Reasoning,
    settings: Sequence[str],
    by_parts: bool,
) -> Writer | None:
    """Return the writer of conversations that reason; ``None`` for the other exports."""
    from rewardmap_verl.zoom.settings import zoom_settings
    from rewardmap_verl.zoom.trace_export import TRACE_FORMATS, export_traces

    if reasoning is Reasoning.NONE and format is not ExportFormat.VERL:
        return None
    if format not in TRACE_FORMATS:
        hint = f"It is for {' and '.join(one.value for one in TRACE_FORMATS)}."
        raise ConfigError("--reasoning", found=reasoning.value, hint=hint)
    return partial(
        export_traces,
        format=format,
        target=target,
        reasoning=reasoning,
        settings=zoom_settings(settings),
        by_parts=by_parts,
    )
