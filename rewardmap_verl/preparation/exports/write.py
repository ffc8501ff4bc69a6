"""Write an export: the folder is replaced when the new one is complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from types import MappingProxyType

from rewardmap_verl.preparation.atomic import disk_errors, json_bytes, staging_folder, write_bytes
from rewardmap_verl.preparation.exports.gallery import export_gallery
from rewardmap_verl.preparation.exports.hub import export_hub
from rewardmap_verl.preparation.exports.sharegpt import export_sharegpt
from rewardmap_verl.preparation.exports.vlmevalkit import export_vlmevalkit
from rewardmap_verl.preparation.manifest import Manifest, read_manifest

__all__ = ["ExportFormat", "Writer", "write_export"]

_MARKER = ".rewardmap-export.json"

Writer = Callable[[Path, Manifest, Path], list[Path]]
"""Writes an export: the prepared folder, its manifest, where to write; returns the main files."""


class ExportFormat(str, Enum):
    """Formats of other tools."""

    SHAREGPT = "sharegpt"
    VLMEVALKIT = "vlmevalkit"
    HUB = "hub"
    GALLERY = "gallery"
    VERL = "verl"


_WRITERS: Mapping[ExportFormat, Writer] = MappingProxyType(
    {
        ExportFormat.SHAREGPT: export_sharegpt,
        ExportFormat.VLMEVALKIT: export_vlmevalkit,
        ExportFormat.GALLERY: export_gallery,
    }
)


def write_export(
    folder: Path,
    format: ExportFormat,
    target: Path,
    license: str = "other",
    writer: Writer | None = None,
) -> list[Path]:
    """Export a prepared folder.

    The export is written beside ``target`` and put into place when it is complete. An existing
    export at ``target`` is replaced; any other folder that is not empty is left alone.

    Args:
        folder: The prepared folder.
        format: The format.
        target: The folder to write.
        license: Identifier of the license for the card of a Hub data set.
        writer: Writer of the format; needed for ``VERL``, which ``zoom.trace_export`` writes.

    Returns:
        The main files of the export.

    Raises:
        DataError: ``folder`` is not a prepared folder or has a fault, or ``target`` cannot be
            written.
    """
    manifest = read_manifest(folder)
    hub: Writer = partial(export_hub, license=license)
    write = writer or (hub if format is ExportFormat.HUB else _WRITERS[format])
    with disk_errors(target), staging_folder(target, _MARKER) as staging:
        files = write(folder, manifest, staging)
        write_bytes(staging / _MARKER, json_bytes({"format": format.value}))
        return [target / file.relative_to(staging) for file in files]
