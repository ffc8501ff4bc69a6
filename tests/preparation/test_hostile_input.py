"""Hostile and damaged input: one clear message at a bounded cost, never a traceback."""

from __future__ import annotations

import json
import os
import resource
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.inputs.files import check_file
from rewardmap_verl.inputs.parquet import open_parquet, parquet_rows
from rewardmap_verl.preparation.manifest import record_files
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.records import read_prepared_questions
from rewardmap_verl.preparation.rows import SCHEMA
from rewardmap_verl.preparation.settings import PrepareSettings

Make = Callable[..., PrepareSettings]

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def assert_one_message(result: Result, *parts: str) -> None:
    text = " ".join(result.output.split())
    assert result.exit_code == 2, text
    assert isinstance(result.exception, SystemExit)
    assert text.startswith("Error: ")
    for part in parts:
        assert part in text


@pytest.fixture
def prepared(local: Make) -> Path:
    prepare(local())
    return local().out


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], split: str = "train") -> None:
    """Change the first row of a split, and record the new file in the manifest."""
    path = folder / f"{split}.parquet"
    rows = pq.read_table(path).to_pylist()
    change(rows[0])
    path.unlink()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    change_manifest(folder, lambda manifest: None)


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"] = {name: record.model_dump() for name, record in record_files(folder).items()}
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [(LFS, "git lfs pull"), (b"PK\x03\x04rest", "zip archive. Unpack it"), (b"", "empty")],
)
def test_files_that_are_something_else(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        check_file(path)


def test_folders_pipes_and_missing_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in ((".", "a folder"), ("pipe", "a pipe"), ("none", "does not exist")):
        with pytest.raises(DataError, match=message):
            check_file(tmp_path / name)


@pytest.mark.parametrize("name", ["maps/north/beta.png", "stations/north/beta.json"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "pointer", "zip", "empty"])
def test_a_city_file_that_is_something_else(
    root: Path, tmp_path: Path, name: str, kind: str
) -> None:
    path = root / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes({"pointer": LFS, "zip": b"PK\x03\x04", "empty": b""}[kind])
    result = run("prepare", "local", "--root", root, "--out", tmp_path / "out", "--workers", 1)
    assert_one_message(result, name)


def test_a_root_that_is_an_archive(root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "root.zip", "w") as archive:
        archive.writestr("maps/x", "y")
    out = tmp_path / "out"
    result = run("prepare", "local", "--root", tmp_path / "root.zip", "--out", out)
    assert_one_message(result, "zip archive. Unpack it first")


def test_a_root_one_folder_too_high(root: Path, tmp_path: Path) -> None:
    result = run("prepare", "local", "--root", tmp_path, "--out", tmp_path / "out")
    assert_one_message(result, f"use --root {root}")


ROWS_OF_A_BOMB = 100_000


def bomb(path: Path, rows: int, value_bytes: int) -> None:
    """Write rows that all have one large value: a dictionary of one entry, some kB on disk."""
    indices = pa.array([0] * rows, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * value_bytes]))
    pq.write_table(pa.table({"question": column}), path, compression="zstd")


def test_one_large_value_of_many_rows_is_read_in_small_batches(tmp_path: Path) -> None:
    """100,000 rows of 10 MB each would need a terabyte at once."""
    bomb(tmp_path / "bomb.parquet", ROWS_OF_A_BOMB, 10_000_000)
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = parquet_rows(tmp_path / "bomb.parquet")
    assert [len(next(rows)["question"]) for _ in range(40)] == [10_000_000] * 40
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2_000_000  # kB


def test_a_page_that_expands_beyond_all_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    bomb(path, 10, 300_000_000)
    with pytest.raises(DataError, match=r"column question.*decompression bomb"):
        open_parquet(path)
    result = run("prepare", "reasonmap", "--data", path, "--out", tmp_path / "out")
    assert_one_message(result, "decompression bomb")


@pytest.mark.parametrize("content", [LFS, b"PK\x03\x04", b"", b"PAR1 is not enough", b"[]"])
def test_a_data_set_that_is_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(content)
    for data in (tmp_path / "set", tmp_path / "set" / "train.parquet"):
        result = run("prepare", "reasonmap", "--data", data, "--out", tmp_path / "out")
        assert_one_message(result, "train.parquet")


def test_a_folder_of_archives(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "ReasonMap.zip").write_bytes(b"PK\x03\x04")
    result = run("prepare", "reasonmap", "--data", tmp_path / "set", "--out", tmp_path / "out")
    assert_one_message(result, "ReasonMap.zip", "unpack")


PATHS = ["/etc/passwd", "../../secret.png", "https://host/map.png", "javascript:alert(1)"]
PATHS += ["images/map.svg", "images/map.html", "images/a b.png", 'images/"onload="x.png', ""]


@pytest.mark.parametrize("image", PATHS)
@pytest.mark.parametrize(
    "words",
    [
        ("sft-rows", "DATA"),
        *(("export", "DATA", form) for form in ("sharegpt", "vlmevalkit", "hub", "gallery")),
    ],
)
def test_image_paths_are_checked_by_every_reader(
    prepared: Path, image: str, words: tuple[str, ...]
) -> None:
    def change(row: dict[str, Any]) -> None:
        row["images"][0]["image"] = image

    rewrite(prepared, change)
    rewrite(prepared, change, "test")
    before = set(prepared.parent.iterdir())
    result = run(*(prepared if word == "DATA" else word for word in words))
    assert_one_message(result, "image")
    assert set(prepared.parent.iterdir()) == before


@pytest.mark.parametrize("image", PATHS)
@pytest.mark.parametrize("form", ["hub", "gallery", "sharegpt"])
def test_image_paths_of_the_manifest_are_checked(prepared: Path, image: str, form: str) -> None:
    change_manifest(prepared, lambda manifest: manifest["maps"][0].update(image=image))
    assert_one_message(run("export", prepared, form), "image")


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "no image": lambda row: row.update(images=[]),
    "no images": lambda row: row.update(images=None),
    "no prompt": lambda row: row.update(prompt=None),
    "an empty prompt": lambda row: row.update(prompt=[]),
    "no truth": lambda row: row.update(reward_model=None),
    "a truth that is no JSON": lambda row: row["reward_model"].update(ground_truth="{"),
    "a truth that is a list": lambda row: row["reward_model"].update(ground_truth="[]"),
    "a deep truth": lambda row: row["reward_model"].update(ground_truth="[" * 100_000),
    "not a number": lambda row: row["reward_model"].update(
        ground_truth=json.dumps(json.loads(row["reward_model"]["ground_truth"]) | {"answer": 1e999})
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_broken_rows_are_named(prepared: Path, kind: str) -> None:
    rewrite(prepared, CHANGES[kind])
    for words in (("sft-rows", prepared), ("export", prepared, "sharegpt")):
        assert_one_message(run(*words), "train.parquet, row 0")
    result = run("validate", prepared)
    assert result.exit_code == 1
    assert "train.parquet, row 0" in result.output


@pytest.mark.parametrize("content", ["[" * 100_000, '{"stops": [[NaN, 1]]}', "{}", "[]", "1e999"])
def test_broken_positions_are_named(synthetic: Make, content: str) -> None:
    manifest = prepare(synthetic())
    out = synthetic().out
    path = out / manifest.maps[0].positions
    path.unlink()
    path.write_text(content)
    assert_one_message(run("export", out, "gallery"), "positions/")


@pytest.mark.parametrize("name", ["manifest.json", "train.parquet", "network", "image"])
def test_pipes_in_a_prepared_folder_do_not_block(prepared: Path, name: str) -> None:
    entry = json.loads((prepared / "manifest.json").read_text())["maps"][0]
    path = prepared / entry.get(name, name)
    path.unlink()
    os.mkfifo(path)
    done: list[int] = []

    def export() -> None:
        done.extend(run("export", prepared, form).exit_code for form in ("gallery", "hub"))
        done.append(run("validate", prepared).exit_code)

    thread = threading.Thread(target=export, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert done[:2] == [2, 2] and done[2] in (1, 2)


@pytest.mark.parametrize("difficulty", ["nan", "inf", "-inf", "1e999"])
def test_numbers_that_are_none(tmp_path: Path, difficulty: str) -> None:
    for words in (
        ("draw", "--out", tmp_path / "map.png", "--difficulty", difficulty),
        ("prepare", "synthetic", "--size", "full", "--difficulty", difficulty, "--out", tmp_path),
    ):
        result = run(*words)
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        assert "difficulty" in result.output


def test_planning_rows_without_reference_routes_have_an_answer(prepared: Path) -> None:
    """Published training rows have none."""
    expected = [row.text for row in read_prepared_questions(prepared, "train")]
    path = prepared / "train.parquet"
    rows = pq.read_table(path).to_pylist()
    for row in rows:
        truth = json.loads(row["reward_model"]["ground_truth"])
        row["reward_model"]["ground_truth"] = json.dumps(truth | {"plans": []})
    path.unlink()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    found = list(read_prepared_questions(prepared, "train"))
    assert [row.text for row in found] == expected
    assert any(row.truth.is_planning for row in found)
    assert all(row.answer.strip() for row in found)
    result = run("sft-rows", prepared)
    assert result.exit_code == 0, result.output
    written = pq.read_table(prepared.with_name("out-sft.parquet")).to_pylist()
    assert [row["messages"][1]["content"] for row in written] == [row.answer for row in found]


def feed(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_txt", ".txt").replace("_zip", ".zip"), content)
    return path


def encrypted(path: Path) -> Path:
    """Set the flag of encryption in every entry, as an archiver with a password does."""
    content = bytearray(feed(path, stops_txt=b"x" * 100, routes_txt=b"y" * 100).read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(magic)
        while start >= 0:
            content[start + offset] |= 1
            start = content.find(magic, start + 4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", ["nested", "encrypted", "expanding", "pipe", "damaged"])
def test_feeds_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "town.zip"
    if kind == "nested":
        feed(path, bus_zip=b"PK", rail_zip=b"PK")
        message = "archives (bus.zip, rail.zip)"
    elif kind == "encrypted":
        encrypted(path)
        message = "encrypted"
    elif kind == "expanding":
        feed(path, **dict.fromkeys(("routes_txt", "trips_txt", "stops_txt"), bytes(300_000_000)))
        message = "decompression bomb"
    elif kind == "pipe":
        os.mkfifo(path)
        message = "zip file or a folder"
    else:
        feed(path, routes_txt=b"route_id" * 1000, trips_txt=b"trip_id", stops_txt=b"stop_id")
        content = bytearray(path.read_bytes())
        content[50:60] = bytes(10)
        path.write_bytes(content)
        message = "town.zip"
    result = run("prepare", "gtfs", "--feed", path, "--out", tmp_path / "out")
    assert_one_message(result, message)


def test_text_that_is_not_utf8_and_times_out_of_range(tmp_path: Path) -> None:
    offsets, data = pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xfe")
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, data])
    for column in (broken, pa.array([2**62], pa.timestamp("us"))):
        pq.write_table(pa.table({"question": column}), tmp_path / "train.parquet")
        with pytest.raises(DataError, match="damaged"):
            list(parquet_rows(tmp_path / "train.parquet"))


def test_a_billion_broken_rows_are_not_all_listed(prepared: Path) -> None:
    """Rows of nulls take no space on disk."""
    nulls = pa.Table.from_batches(
        [pa.RecordBatch.from_pylist([{}] * 100_000, schema=SCHEMA)] * 20, schema=SCHEMA
    )
    (prepared / "train.parquet").unlink()
    pq.write_table(nulls, prepared / "train.parquet")
    change_manifest(prepared, lambda manifest: None)
    result = run("validate", prepared)
    assert result.exit_code == 1
    assert "1,000 or more faults" in result.output


def varint(number: int) -> bytes:
    """Write a number as the compact protocol of Thrift does."""
    number <<= 1
    parts = []
    while True:
        parts.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(parts)


def test_a_bomb_with_false_sizes_in_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    bomb(path, 10, 300_000_000)
    size = pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    true, false = varint(size), bytearray(varint(1000))
    while len(false) < len(true):
        false[-1] |= 0x80
        false.append(0)
    assert true in content[footer:]
    path.write_bytes(content[:footer] + content[footer:].replace(true, bytes(false)))
    assert pq.read_metadata(path).row_group(0).column(0).total_uncompressed_size == 1000
    with pytest.raises(DataError, match="decompression bomb"):
        open_parquet(path)
