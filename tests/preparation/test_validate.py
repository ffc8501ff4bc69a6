"""``rewardmap validate`` finds every change to a prepared folder, and wrong gold answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from rewardmap_verl.commands.main import app
from rewardmap_verl.errors import DataError
from rewardmap_verl.preparation.manifest import read_manifest, record_files, write_manifest
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.rows import write_rows
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.validate import faults

Make = Callable[..., PrepareSettings]


@pytest.fixture
def folder(local: Make) -> Path:
    """A prepared folder."""
    prepare(local())
    return local().out


def change_row(folder: Path, change: Callable[[dict[str, Any]], None], index: int = 0) -> None:
    """Change a training row, and let the manifest record the changed file."""
    rows = pq.read_table(folder / "train.parquet").to_pylist()
    change(rows[index])
    write_rows(rows, folder / "train.parquet")
    record_anew(folder)


def record_anew(folder: Path) -> None:
    manifest = read_manifest(folder).model_copy(update={"files": record_files(folder)})
    write_manifest(manifest, folder)


def index_of(folder: Path, kind: str) -> int:
    rows = pq.read_table(folder / "train.parquet").to_pylist()
    return next(i for i, row in enumerate(rows) if row["extra_info"]["type"] == kind)


def test_a_prepared_folder_has_no_faults(folder: Path) -> None:
    assert list(faults(folder)) == []


def test_drawn_maps_have_no_faults(synthetic: Make) -> None:
    prepare(synthetic())
    assert list(faults(synthetic().out)) == []


def test_changed_missing_and_added_files(folder: Path) -> None:
    images = sorted((folder / "images").iterdir())
    images[0].write_bytes(images[0].read_bytes() + b"x")
    (folder / "networks/south/gamma.json").unlink()
    (folder / "notes.txt").write_text("mine")
    found = list(faults(folder, answers=False))
    assert f"images/{images[0].name}: its content has changed since it was prepared" in found
    assert "networks/south/gamma.json: missing" in found
    assert "notes.txt: not in the manifest" in found


@pytest.mark.parametrize("kind", ["TorF1", "Counting2", "planning"])
def test_a_wrong_gold_answer_or_place(folder: Path, kind: str) -> None:
    def swap(row: dict[str, Any]) -> None:
        truth = json.loads(row["reward_model"]["ground_truth"])
        truth["station_1"] = "Nowhere"
        row["reward_model"]["ground_truth"] = json.dumps(truth)

    index = index_of(folder, kind)
    change_row(folder, swap, index)
    found = "\n".join(faults(folder))
    assert f"train.parquet, row {index}" in found
    assert "Nowhere" in found


def test_an_answer_that_the_reward_does_not_allow(folder: Path) -> None:
    def break_it(row: dict[str, Any]) -> None:
        truth = json.loads(row["reward_model"]["ground_truth"])
        row["reward_model"]["ground_truth"] = json.dumps(truth | {"answer": 7})

    index = index_of(folder, "TorF2")
    change_row(folder, break_it, index)
    assert any("answer" in fault and f"row {index}" in fault for fault in faults(folder))


def test_an_image_that_training_would_resize(folder: Path) -> None:
    row = pq.read_table(folder / "train.parquet").to_pylist()[0]
    Image.new("RGB", (100, 100)).save(folder / row["images"][0]["image"])
    record_anew(folder)
    assert any("is resized during training" in fault for fault in faults(folder))


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd"])
def test_paths_that_leave_the_folder(folder: Path, path: str) -> None:
    change_row(folder, lambda row: row["images"][0].update(image=path))
    assert any("stay inside" in fault for fault in faults(folder))


def test_other_columns(folder: Path) -> None:
    table = pa.table({"prompt": ["?"]})
    pq.write_table(table, folder / "train.parquet")
    record_anew(folder)
    assert any("does not have the columns of this version" in fault for fault in faults(folder))


def test_missing_rows(folder: Path) -> None:
    rows = pq.read_table(folder / "test.parquet").to_pylist()
    write_rows(rows[:-1], folder / "test.parquet")
    record_anew(folder)
    assert any("the manifest has" in fault for fault in faults(folder))


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rewardmap prepare"):
        list(faults(tmp_path))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 99}'])
def test_an_invalid_manifest(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        list(faults(folder))


def test_the_command(folder: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["validate", *map(str, arguments)])
        return result.exit_code, result.output

    code, text = run(folder)
    assert code == 0 and "is complete" in text
    (folder / "test.parquet").unlink()
    code, text = run(folder, "--no-answers")
    assert code == 1 and "test.parquet: missing" in text
    assert run(tmp_path)[0] == 2
