"""Preparation of micro maps through the package's public API."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.evidence.micro_maps import prepare_micro_maps
from benchmarks.evidence.protocol import World
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.manifest import read_manifest
from rewardmap_verl.preparation.map_jobs import MapProgress
from rewardmap_verl.preparation.prepare import prepare
from rewardmap_verl.preparation.settings import PrepareSettings
from rewardmap_verl.preparation.validate import faults
from rewardmap_verl.questions.sampling import Quotas

WORLD = World(
    train_maps=4, test_maps=2, questions={"Counting2": 2, "planning": 4}, forms=("long_count",)
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("micro") / "data"
    prepare_micro_maps(WORLD, 224, out, workers=1)
    return out


def test_every_cell_is_one_visual_token(prepared: Path) -> None:
    manifest = read_manifest(prepared)
    assert manifest.source == "custom"
    assert [(one.image_tokens, one.width, one.height) for one in manifest.maps] == [
        (20, 140, 112)
    ] * 6
    assert all(one.positions for one in manifest.maps)
    assert manifest.rows_by_type["train"] == {"Counting2": 8, "planning": 16}


def test_the_folder_passes_validation(prepared: Path) -> None:
    assert list(faults(prepared)) == []


def test_an_up_to_date_folder_is_kept(prepared: Path) -> None:
    steps: list[MapProgress] = []
    again = prepare_micro_maps(WORLD, 224, prepared, workers=1, report=steps.append)
    assert [one.total for one in steps] == [0]
    assert again == read_manifest(prepared)


def test_maps_depend_on_the_seed(prepared: Path, tmp_path: Path) -> None:
    other = prepare_micro_maps(
        WORLD.model_copy(update={"seed": 2}), 224, tmp_path / "data", workers=1
    )
    names = {one.city for one in other.maps} & {one.city for one in read_manifest(prepared).maps}
    assert not names


def test_a_custom_source_needs_its_maps(tmp_path: Path) -> None:
    settings = PrepareSettings(source="custom", out=tmp_path / "data", quotas=Quotas())
    with pytest.raises(ConfigError, match="prepare_contents"):
        prepare(settings)
