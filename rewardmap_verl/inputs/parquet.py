"""Reading rows of parquet files from unknown sources with bounded memory.

A parquet file of some kilobytes can expand to gigabytes: a compressed page of zeros, or one large
value of a dictionary that many rows refer to. Column chunks that expand beyond all real data are
rejected, and rows are decoded in batches that stay small even if every value were as large as its
column chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file

__all__ = ["open_parquet", "parquet_rows"]

_BATCH_BYTES: Final = 256 * 1024 * 1024
_MAX_ROWS_AT_ONCE: Final = 64
_PAGE_HEADER_BYTES: Final = 16
_NEXT_INT32: Final = 0x15  # Thrift: the next field is a 32-bit integer
_SIZE_FIELDS: Final = 2
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
    for chunk in _chunks(file):
        stored = chunk.total_compressed_size
        expanded = max(chunk.total_uncompressed_size, _first_page_bytes(path, chunk))
        if expanded > _BATCH_BYTES and expanded > _MAX_EXPANSION * max(stored, 1):
            found = f"{stored:,} bytes that expand to {expanded:,}"
            hint = "The file may be a decompression bomb. Save it again with less compression."
            raise DataError(path, f"column {chunk.path_in_schema}", found, hint)
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
    largest = max((chunk.total_uncompressed_size for chunk in _chunks(file)), default=1)
    rows_at_once = max(1, min(_MAX_ROWS_AT_ONCE, _BATCH_BYTES // max(largest, 1)))
    try:
        for batch in file.iter_batches(rows_at_once, columns=list(columns) if columns else None):
            yield from batch.to_pylist()
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        hint = f"The file is damaged ({_first_line(error)}). Download or write it again."
        raise DataError(path, hint=hint) from error


def _chunks(file: pq.ParquetFile) -> Iterator[pq.ColumnChunkMetaData]:
    metadata = file.metadata
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            yield metadata.row_group(group).column(column)


def _first_page_bytes(path: Path, chunk: pq.ColumnChunkMetaData) -> int:
    """Return the decompressed size of the first page of a chunk, from the header of the page.

    The sizes in the footer can be false. The first page is the dictionary, if there is one, whose
    values each row can repeat. A page header is a Thrift struct in the compact protocol; its first
    two fields are the 32-bit integers ``type`` and ``uncompressed_page_size``.

    Returns:
        Bytes; 0 if the header does not start with these fields.
    """
    start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    with path.open("rb") as stream:
        stream.seek(start)
        head = iter(stream.read(_PAGE_HEADER_BYTES))
    values: list[int] = []
    for byte in head:
        if byte != _NEXT_INT32 or len(values) == _SIZE_FIELDS:
            break
        values.append(_varint(head))
    return values[1] >> 1 if len(values) == _SIZE_FIELDS else 0  # zigzag, never negative


def _varint(stream: Iterator[int]) -> int:
    value = shift = 0
    for byte in stream:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
