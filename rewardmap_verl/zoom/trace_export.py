"""Export of conversations that reason, for LLaMA-Factory and verl's SFT trainer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.preparation.atomic import write_bytes
from rewardmap_verl.preparation.exports.write import ExportFormat
from rewardmap_verl.preparation.images import encode_png
from rewardmap_verl.preparation.manifest import Manifest, MapRecord
from rewardmap_verl.preparation.originals import original_of
from rewardmap_verl.preparation.paths import inside
from rewardmap_verl.preparation.records import (
    PreparedQuestion,
    link_images,
    read_networks,
    read_prepared_questions,
)
from rewardmap_verl.transit.network import Network
from rewardmap_verl.transit.planner import Planner
from rewardmap_verl.zoom.crops import original_size, read_crop
from rewardmap_verl.zoom.places import read_places
from rewardmap_verl.zoom.reading import reading_steps
from rewardmap_verl.zoom.settings import ZoomSettings
from rewardmap_verl.zoom.traces import Message, Reasoning, TraceMap, text_trace, zoom_trace

__all__ = ["TRACE_FORMATS", "export_traces"]

CROPS: Final = "crops"
"""Folder of the crops in an export."""

_LARGEST_PATCH: Final = 128

_NO_ORIGINALS: Final = "The zoom tool needs the original maps: prepare with --keep-originals."

_SPEAKERS: Final = MappingProxyType(
    {"user": "human", "assistant": "gpt", "tool": "observation", "system": "system"}
)
"""Names of LLaMA-Factory for the roles of a conversation."""


@dataclass
class _Export:
    """What one export writes to and reads from."""

    folder: Path
    manifest: Manifest
    staging: Path
    """Where the files are written."""
    target: Path
    """Where they will be."""
    reasoning: Reasoning
    settings: ZoomSettings
    by_parts: bool
    maps: dict[tuple[str, str], _MapContext] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _MapContext:
    """One map, read once."""

    network: Network
    planner: Planner
    original: Path | None
    map: TraceMap | None
    """``None`` without zoom."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture of a conversation."""

    path: str
    """Relative to ``folder``."""
    folder: Path
    max_pixels: int


@dataclass(frozen=True, slots=True)
class _Conversation:
    messages: Sequence[Message]
    pictures: Sequence[_Picture]


def export_traces(
    folder: Path,
    manifest: Manifest,
    staging: Path,
    *,
    format: ExportFormat,
    target: Path,
    reasoning: Reasoning,
    settings: ZoomSettings,
    by_parts: bool = False,
) -> list[Path]:
    """Write the conversations of both splits, and the crops that they show.

    Args:
        folder: The prepared folder.
        manifest: Its manifest.
        staging: Where to write.
        format: One of ``TRACE_FORMATS``.
        target: Where ``staging`` will be: verl's rows have absolute paths.
        reasoning: What a conversation contains before its answer.
        settings: Budget of the zoom tool; the same as in the run that follows.
        by_parts: Look through the parts of drawn maps, too, as if the positions of their stops were
            unknown: for overviews that do not show where a stop is.

    Returns:
        The files with conversations.

    Raises:
        DataError: There are no originals to zoom into, or the folder has a fault.
    """
    export = _Export(folder, manifest, staging, target.absolute(), reasoning, settings, by_parts)
    networks = read_networks(folder, manifest)
    for entry in manifest.maps:
        key = (entry.country, entry.city)
        export.maps[key] = _context(export, entry, networks[key])
    return TRACE_FORMATS[format](export)


def _context(export: _Export, entry: MapRecord, network: Network) -> _MapContext:
    planner = Planner(network)
    if export.reasoning is not Reasoning.ZOOM:
        return _MapContext(network, planner, None, None)
    if not entry.original:
        raise DataError(export.folder, found=entry.image, hint=_NO_ORIGINALS)
    original = inside(export.folder, original_of(entry.image))
    check_file(original)
    places = None if export.by_parts else read_places(export.folder, entry)
    place = TraceMap(original_size(str(original)), places, _unit(export.manifest))
    return _MapContext(network, planner, original, place)


def _unit(manifest: Manifest) -> int:
    """Return the side of the square of one visual token in pixels."""
    budget = manifest.settings.get("budget")
    patch = budget.get("patch") if isinstance(budget, Mapping) else None
    return patch if isinstance(patch, int) and 1 <= patch <= _LARGEST_PATCH else 28


def _conversations(export: _Export, split: str) -> Iterator[_Conversation]:
    for record in read_prepared_questions(export.folder, split):
        context = export.maps[record.truth.country, record.truth.city]
        messages = _messages(record, context, export)
        overview = _Picture(record.image, export.folder, record.max_pixels)
        crops = [_crop(one, record, context, export) for one in messages if one.crop]
        yield _Conversation(messages, [overview, *crops])


def _messages(record: PreparedQuestion, context: _MapContext, export: _Export) -> list[Message]:
    if export.reasoning is Reasoning.NONE:
        return text_trace(record.prompt, (), record.answer)
    steps = reading_steps(record.truth, context.network, context.planner)
    if context.map is None:
        return text_trace(record.prompt, steps, record.answer)
    return zoom_trace(record.prompt, steps, record.answer, context.map, export.settings)


def _crop(
    message: Message, record: PreparedQuestion, context: _MapContext, export: _Export
) -> _Picture:
    """Write the picture of a message, unless another conversation shows it too."""
    assert message.crop is not None and message.box is not None
    place = "-".join(map(str, message.box.as_list()))
    name = f"{CROPS}/{Path(record.image).stem}-{place}.png"
    if not (export.staging / name).exists():
        write_bytes(
            export.staging / name, encode_png(read_crop(str(context.original), message.crop))
        )
    width, height = message.crop.size
    return _Picture(name, export.target, width * height)


def _write_sharegpt(export: _Export) -> list[Path]:
    """Write JSON in LLaMA-Factory's format "sharegpt", with ``dataset_info.json``."""
    link_images(export.folder, export.staging, export.manifest.maps)
    files = []
    for split in export.manifest.rows:
        files.append(export.staging / f"rewardmap_{split}.json")
        _write_json(files[-1], [_sharegpt(one) for one in _conversations(export, split)])
    columns = {"messages": "conversations", "images": "images", "system": "system"}
    entries = {
        file.stem: {"file_name": file.name, "formatting": "sharegpt", "columns": columns}
        for file in files
    }
    _write_json(export.staging / "dataset_info.json", entries)
    return files


def _sharegpt(conversation: _Conversation) -> dict[str, Any]:
    turns = [
        {"from": _SPEAKERS[one.role], "value": one.text}
        for one in conversation.messages
        if one.role != "system"
    ]
    system = [one.text for one in conversation.messages if one.role == "system"]
    return {
        "conversations": turns,
        "system": "".join(system),
        "images": [one.path for one in conversation.pictures],
    }


def _write_json(path: Path, value: object) -> None:
    write_bytes(path, (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode())


def _write_verl(export: _Export) -> list[Path]:
    """Write parquet for verl's ``MultiTurnSFTDataset``: ``messages`` and ``images``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = []
    for split in export.manifest.rows:
        rows = [_verl(one) for one in _conversations(export, split)]
        files.append(export.staging / f"{split}.parquet")
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), buffer, compression="zstd")
        write_bytes(files[-1], buffer.getvalue())
    return files


def _schema() -> Any:
    import pyarrow as pa

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    picture = pa.struct([("image", pa.string()), ("max_pixels", pa.int64())])
    return pa.schema([("messages", pa.list_(message)), ("images", pa.list_(picture))])


def _verl(conversation: _Conversation) -> dict[str, Any]:
    return {
        "messages": [{"role": one.role, "content": one.text} for one in conversation.messages],
        "images": [
            {"image": str(one.folder / one.path), "max_pixels": one.max_pixels}
            for one in conversation.pictures
        ],
    }


TRACE_FORMATS: Final[Mapping[ExportFormat, Callable[[_Export], list[Path]]]] = MappingProxyType(
    {ExportFormat.SHAREGPT: _write_sharegpt, ExportFormat.VERL: _write_verl}
)
