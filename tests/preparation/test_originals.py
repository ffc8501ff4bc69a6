"""``--keep-originals``: each map is also stored at its full size, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from rewardmap_verl.preparation.manifest import differences
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.zoom.crops import original_size

Settings = Callable[..., PrepareSettings]


def test_files_are_kept_at_their_size(local: Settings, tmp_path: Path) -> None:
    plain = prepare(local(out=tmp_path / "plain"))
    kept = prepare(local(out=tmp_path / "kept", keep_originals=True))
    assert not differences_of(kept, tmp_path / "kept")
    for record in kept.maps:
        assert record.original == f"originals/{Path(record.image).stem}.tif"
        assert record.original in kept.files
        assert original_size(str(tmp_path / "kept" / record.original)) == (320, 240)
        assert (record.width, record.height) != (320, 240), "the prepared map is smaller"
    assert not (tmp_path / "plain" / "originals").exists()
    assert all(not record.original for record in plain.maps)
    rows = [pq.read_table(tmp_path / name / "train.parquet") for name in ("plain", "kept")]
    assert rows[0].equals(rows[1])


def test_an_interrupted_or_repeated_preparation_reuses_them(
    local: Settings, tmp_path: Path
) -> None:
    first = prepare(local(keep_originals=True))
    before = {name: (tmp_path / "out" / name).stat().st_ino for name in originals(first)}
    again = prepare(local(keep_originals=True, force=True))
    assert again == first
    assert {name: (tmp_path / "out" / name).stat().st_ino for name in originals(again)} == before
    without = prepare(local())
    assert not originals(without)
    assert not (tmp_path / "out" / "originals").exists()


def test_a_drawn_map_keeps_its_drawing(synthetic: Settings, tmp_path: Path) -> None:
    manifest = prepare(synthetic(train_maps=1, keep_originals=True))
    for record in manifest.maps:
        width, height = original_size(str(tmp_path / "out" / record.original))
        assert width * height >= record.width * record.height


def originals(manifest: object) -> list[str]:
    return [name for name in manifest.files if name.startswith("originals/")]  # type: ignore[attr-defined]


def differences_of(manifest: object, folder: Path) -> list[object]:
    return list(differences(manifest, folder))  # type: ignore[arg-type]
