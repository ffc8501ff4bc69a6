"""The footer of a parquet file is read as pyarrow reads it, without pyarrow."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.parquet import _chunks, open_parquet
from rewardmap_verl.inputs.thrift import CompactReader

ROWS = [
    {"prompt": [{"role": "user", "content": "x" * n}], "n": n, "half": n / 2, "ok": n % 2 == 0}
    for n in range(500)
]


@pytest.mark.parametrize("compression", ["snappy", "zstd", "none"])
@pytest.mark.parametrize("options", [{}, {"row_group_size": 70}, {"use_dictionary": False}])
def test_chunks_are_those_of_pyarrow(
    tmp_path: Path, compression: str, options: dict[str, object]
) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path, compression=compression, **options)
    metadata = pq.read_metadata(path)
    expected = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    found = _chunks(path)
    assert [one.column for one in found] == [one.path_in_schema for one in expected]
    assert [one.stored for one in found] == [one.total_compressed_size for one in expected]
    assert [one.expanded for one in found] == [one.total_uncompressed_size for one in expected]
    assert [one.start for one in found] == [
        one.dictionary_page_offset if one.has_dictionary_page else one.data_page_offset
        for one in expected
    ]


def test_a_footer_cut_in_the_middle_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(ROWS), path)
    content = path.read_bytes()
    size = int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[: -size // 2] + size.to_bytes(4, "little") + b"PAR1")
    with pytest.raises(DataError, match=r"parquet|footer"):
        open_parquet(path)


def test_no_bytes_make_the_reader_fail_otherwise_or_run_long() -> None:
    random = np.random.default_rng(7)
    for _ in range(3000):
        with contextlib.suppress(ValueError):
            CompactReader(random.bytes(200)).struct()


def test_nesting_and_counts_are_bounded() -> None:
    with pytest.raises(ValueError, match="nested"):
        CompactReader(b"\x1c" * 1000).struct()
    with pytest.raises(ValueError, match="ends early"):
        CompactReader(b"\x19\xf5\xff\xff\xff\xff\x0f").struct()
    with pytest.raises(ValueError, match="64 bits"):
        CompactReader(b"\x16" + b"\xff" * 30).struct()
