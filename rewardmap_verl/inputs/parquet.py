"""Reading rows of parquet files from unknown sources with bounded memory.

A parquet file of some kilobytes can expand to gigabytes: a compressed page of zeros, or one large
value of a dictionary that many rows refer to. Column chunks that expand beyond all real data are
rejected, and rows are decoded in batches that stay small even if every value were as large as its
column chunk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.inputs.thrift import CompactReader

__all__ = ["open_parquet", "parquet_rows"]

_BATCH_BYTES: Final = 256 * 1024 * 1024
_MAX_ROWS_AT_ONCE: Final = 64
_PAGE_HEADER_BYTES: Final = 16
_FOOTER_END: Final = 8
# Numbers of fields in parquet.thrift: of FileMetaData, RowGroup, ColumnChunk and PageHeader.
_ROW_GROUPS, _COLUMNS, _META_DATA, _PAGE_SIZE = 4, 1, 3, 2
_MAX_EXPANSION: Final = 200  # of a chunk above _BATCH_BYTES; text and images stay below 50


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a parquet file and check its declared sizes.

    Raises:
        DataError: The file is missing, is not parquet, or expands beyond all bounds.
    """
    check_file(path)
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        hint = f"It is not a readable parquet file ({_first_line(error)})."
        raise DataError(path, hint=hint) from error
    for chunk in _chunks(path):
        expanded = max(chunk.expanded, _first_page_bytes(path, chunk.start))
        if expanded > _BATCH_BYTES and expanded > _MAX_EXPANSION * max(chunk.stored, 1):
            found = f"{chunk.stored:,} bytes that expand to {expanded:,}"
            hint = "The file may be a decompression bomb. Save it again with less compression."
            raise DataError(path, f"column {chunk.column}", found, hint)
    return file


def parquet_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a parquet file as dictionaries.

    Args:
        path: The file.
        columns: Names of the columns to read; None reads all.

    Raises:
        DataError: The file cannot be read, or lacks one of the columns.
    """
    file = open_parquet(path)
    missing = set(columns or ()) - set(file.schema_arrow.names)
    if missing:
        hint = f"It has the columns {', '.join(file.schema_arrow.names)}."
        raise DataError(path, "column", ", ".join(sorted(missing)), hint)
    largest = max((chunk.expanded for chunk in _chunks(path)), default=1)
    rows_at_once = max(1, min(_MAX_ROWS_AT_ONCE, _BATCH_BYTES // max(largest, 1)))
    try:
        for batch in file.iter_batches(rows_at_once, columns=list(columns) if columns else None):
            yield from batch.to_pylist()
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        hint = f"The file is damaged ({_first_line(error)}). Download or write it again."
        raise DataError(path, hint=hint) from error


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One column of one row group, as the footer describes it."""

    column: str
    expanded: int
    """Bytes of its pages after decompression."""
    stored: int
    """Bytes of its pages in the file."""
    start: int
    """Position of the first page: the dictionary, if there is one."""


def _chunks(path: Path) -> list[_Chunk]:
    """Read the column chunks of all row groups.

    Raises:
        DataError: The footer is damaged.
    """
    try:
        groups = CompactReader(_footer(path)).struct().get(_ROW_GROUPS, [])
        return [_chunk(column[_META_DATA]) for group in groups for column in group[_COLUMNS]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        hint = f"Its footer is damaged ({_first_line(error)}). Download or write it again."
        raise DataError(path, hint=hint) from error


def _footer(path: Path) -> bytes:
    """Return the description at the end of a file: it is followed by its length and a mark."""
    with path.open("rb") as stream:
        end = stream.seek(-_FOOTER_END, os.SEEK_END)
        size = int.from_bytes(stream.read(4), "little")
        stream.seek(max(0, end - size))
        return stream.read(min(size, end))


def _chunk(fields: dict[int, Any]) -> _Chunk:
    """Read a ``ColumnMetaData`` struct."""
    column = b".".join(fields[3]).decode(errors="replace")
    return _Chunk(column, int(fields[6]), int(fields[7]), int(fields.get(11) or fields[9]))


def _first_page_bytes(path: Path, start: int) -> int:
    """Return the decompressed size of the first page of a chunk, from the header of the page.

    The sizes in the footer can be false. The first page is the dictionary, if there is one, whose
    values each row can repeat.

    Returns:
        Bytes; 0 if the header does not say it.
    """
    with path.open("rb") as stream, contextlib.suppress(OverflowError, TypeError, ValueError):
        stream.seek(max(0, start))
        fields = CompactReader(stream.read(_PAGE_HEADER_BYTES)).fields()
        return next((int(value) for number, value in fields if number == _PAGE_SIZE), 0)
    return 0


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
