"""The prepared folder: what is in it, that it is repeatable, and that nothing is done twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from rewardmap_verl.preparation import fingerprint
from rewardmap_verl.preparation.images import PixelBudget, read_map
from rewardmap_verl.preparation.manifest import differences, read_manifest
from rewardmap_verl.preparation.map_jobs import MapProgress
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.rows import SCHEMA
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.totals import PAPER_TOTALS
from rewardmap_verl.questions.sampling import Quotas
from rewardmap_verl.rewards.ground_truth import GroundTruth, check_against_network
from rewardmap_verl.transit.reader import read_network

Make = Callable[..., PrepareSettings]


def rows_of(folder: Path, split: str) -> list[dict[str, Any]]:
    return pq.read_table(folder / f"{split}.parquet").to_pylist()


def bytes_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def images_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which maps are read from here on."""
    made: list[str] = []

    def recording(path: Path, budget: PixelBudget) -> Image.Image:
        made.append(path.stem)
        return read_map(path, budget)

    monkeypatch.setattr("rewardmap_verl.preparation.sources.local.read_map", recording)
    return made


def test_rows_are_what_verl_reads(local: Make) -> None:
    settings = local()
    prepare(settings)
    for split in ("train", "test"):
        assert pq.read_schema(settings.out / f"{split}.parquet").equals(SCHEMA)
        for index, row in enumerate(rows_of(settings.out, split)):
            info = row["extra_info"]
            assert (info["index"], info["split"], info["source"]) == (index, split, "local")
            assert row["data_source"] == f"rewardmap/{info['type']}"
            (message,) = row["prompt"]
            assert message["role"] == "user"
            assert message["content"].startswith("<image>\n")
            assert message["content"].count("<image>") == 1
            (image,) = row["images"]
            with Image.open(settings.out / image["image"]) as stored:
                tokens = stored.width * stored.height // 784
                assert stored.width * stored.height <= image["max_pixels"]
            assert info["image_tokens"] == tokens < info["prompt_tokens"] <= 256


def test_gold_answers_belong_to_the_network_beside_them(local: Make) -> None:
    settings = local()
    prepare(settings)
    for row in rows_of(settings.out, "train") + rows_of(settings.out, "test"):
        info = row["extra_info"]
        truth = GroundTruth.from_json(row["reward_model"]["ground_truth"])
        assert (truth.type.value, truth.city) == (info["type"], info["city"])
        assert truth.question_transfer_count == info["question_transfer_count"]
        check_against_network(truth, read_network(settings.out / info["network"]))


def test_both_splits_have_every_type_and_no_city_in_common(local: Make) -> None:
    settings = local()
    manifest = prepare(settings)
    kinds = {kind.value for kind in PAPER_TOTALS}
    assert set(manifest.rows_by_type["train"]) == set(manifest.rows_by_type["test"]) == kinds
    cities = {
        split: {row["extra_info"]["city"] for row in rows_of(settings.out, split)}
        for split in ("train", "test")
    }
    assert cities == {"train": {"alpha", "beta"}, "test": {"gamma"}}


def test_manifest_counts_and_hashes_everything(local: Make) -> None:
    settings = local()
    manifest = prepare(settings)
    assert manifest == read_manifest(settings.out)
    for split in ("train", "test"):
        rows = rows_of(settings.out, split)
        assert manifest.rows[split] == len(rows) == sum(manifest.rows_by_type[split].values())
        assert len(rows) == sum(manifest.rows_by_city[split].values())
        assert len(rows) == sum(manifest.rows_by_difficulty[split].values())
        longest = max(row["extra_info"]["prompt_tokens"] for row in rows)
        assert manifest.longest_prompt[split] == longest
    assert set(manifest.files) == set(bytes_of(settings.out)) - {"manifest.json"}
    assert list(differences(manifest, settings.out)) == []


def test_drawn_maps_come_with_positions_inside_the_image(synthetic: Make) -> None:
    settings = synthetic()
    manifest = prepare(settings)
    assert len(manifest.maps) == 3
    for entry in manifest.maps:
        positions = json.loads((settings.out / entry.positions).read_text(encoding="utf-8"))
        assert positions["size"] == [entry.width, entry.height]
        assert len(positions["stops"]) == entry.stops
        for x, y in positions["stops"]:
            assert 0 < x < entry.width and 0 < y < entry.height


def test_same_seed_same_bytes_whatever_the_number_of_workers(
    synthetic: Make, tmp_path: Path
) -> None:
    """A worker is a fresh process with its own hash seed, so this covers that, too."""
    prepare(synthetic(out=tmp_path / "one", workers=1))
    prepare(synthetic(out=tmp_path / "two", workers=2))
    one, two = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "two")
    assert one.keys() == two.keys()
    assert one == two


def test_another_seed_gives_other_maps(synthetic: Make, tmp_path: Path) -> None:
    one = prepare(synthetic(out=tmp_path / "one"))
    two = prepare(synthetic(out=tmp_path / "two", seed=1))
    assert not {entry.image for entry in one.maps} & {entry.image for entry in two.maps}


def test_more_training_maps_leave_the_test_maps_as_they_are(
    synthetic: Make, tmp_path: Path
) -> None:
    few = prepare(synthetic(out=tmp_path / "few", train_maps=1))
    many = prepare(synthetic(out=tmp_path / "many", train_maps=3))
    assert {e.image for e in few.maps} < {e.image for e in many.maps}
    assert [e.city for e in few.maps if "test" in e.splits] == [
        e.city for e in many.maps if "test" in e.splits
    ]


def test_a_moved_folder_still_works(local: Make, tmp_path: Path) -> None:
    settings = local()
    manifest = prepare(settings)
    moved = settings.out.rename(tmp_path / "elsewhere")
    assert not list(differences(manifest, moved))
    assert all((moved / row["images"][0]["image"]).is_file() for row in rows_of(moved, "train"))


def test_preparing_again_does_nothing(local: Make) -> None:
    settings = local()
    first = prepare(settings)
    before = {path: path.stat().st_mtime_ns for path in settings.out.rglob("*")}
    steps: list[MapProgress] = []
    assert prepare(local(workers=2), steps.append) == first
    assert [step.total for step in steps] == [0]
    assert before == {path: path.stat().st_mtime_ns for path in settings.out.rglob("*")}


def test_only_the_changed_map_is_made_again(
    local: Make, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(local())
    with Image.open(root / "maps/north/beta.png") as image:
        turned = image.rotate(180)
    turned.save(root / "maps/north/beta.png")
    made = images_made(monkeypatch)
    second = prepare(local())
    assert made == ["beta"]
    assert [a.image == b.image for a, b in zip(first.maps, second.maps, strict=True)] == [
        True,
        False,
        True,
    ]


def test_other_questions_reuse_all_maps(local: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(local())
    made = images_made(monkeypatch)
    manifest = prepare(local(quotas=Quotas(4, 2, 2, 2, 1, 2)))
    assert made == []
    assert manifest.rows_by_type["train"]["TorF1"] == 8


def test_another_pixel_budget_makes_all_maps_again(
    local: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(local())
    made = images_made(monkeypatch)
    manifest = prepare(local(budget=PixelBudget(max_pixels=16 * 784, min_pixels=4 * 784)))
    assert sorted(made) == ["alpha", "beta", "gamma"]
    assert all(entry.image_tokens <= 16 for entry in manifest.maps)
    assert set(manifest.files) == set(bytes_of(local().out)) - {"manifest.json"}


def test_force_prepares_again(local: Make) -> None:
    prepare(local())
    steps: list[MapProgress] = []
    prepare(local(force=True), steps.append)
    assert [step.done for step in steps] == [1, 2, 3]


@pytest.mark.parametrize("name", ["train.parquet", "networks/north/alpha.json", "image"])
@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_damaged_folder_is_repaired(local: Make, name: str, damage: str) -> None:
    manifest = prepare(local())
    whole = bytes_of(local().out)
    path = local().out / (manifest.maps[0].image if name == "image" else name)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    prepare(local())
    assert bytes_of(local().out) == whole


def test_a_new_version_of_the_code_prepares_again(
    local: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(local())
    monkeypatch.setattr(fingerprint, "code_hash", lambda *rooms: "other")
    steps: list[MapProgress] = []
    prepare(local(), steps.append)
    assert steps[-1].total == 3


def test_the_real_cities_at_the_size_of_the_embedded_model(
    local: Make, shared_data: Path, tmp_path: Path
) -> None:
    """Four real maps among the thirty networks; the other cities are skipped and listed."""
    folder = tmp_path / "real"
    copy_files(shared_data, folder, "stations/*/*.json")
    for city in ("rome", "geneva", "lisboa", "oslo"):
        copy_files(shared_data, folder, f"maps/*/{city}.png")
    manifest = prepare(local(root=folder, test_cities=None))
    assert {entry.city: entry.splits for entry in manifest.maps} == {
        "rome": ("test",),
        "geneva": ("test",),
        "lisboa": ("test",),
        "oslo": ("train",),
    }
    assert len(manifest.skipped) == 26
    assert {city.reason for city in manifest.skipped} == {"no map image"}
    assert all(16 <= entry.image_tokens <= 36 for entry in manifest.maps)


def copy_files(source: Path, target: Path, pattern: str) -> None:
    for path in source.glob(pattern):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
