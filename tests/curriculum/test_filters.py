"""A stage's rows by difficulty, transfers, city, language and source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from rewardmap_verl.curriculum.curriculum_plan import CurriculumPlan, plan_curriculum
from rewardmap_verl.curriculum.derived_columns import script_of
from rewardmap_verl.errors import ConfigError

CITIES = {
    "dalian": ("china", ["姚家站", "大连北站", "华北路站 B"], "hard", "reasonmap"),
    "oslo": ("norway", ["Majorstuen", "Tøyen", "Ryen"], "easy", "reasonmap"),
    "nea": ("synthetic", ["Πλατεία", "Ομόνοια", "Κήπος"], "middle", "synthetic"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Planning rows: four of each city, every other one with a transfer."""
    rows = []
    for city, (country, stops, difficulty, source) in CITIES.items():
        network = tmp_path / "networks" / country / f"{city}.json"
        network.parent.mkdir(parents=True)
        network.write_text(json.dumps({"Line 1": stops}), encoding="utf-8")
        for index in range(4):
            info = {
                "type": "planning",
                "country": country,
                "city": city,
                "difficulty_city": difficulty,
                "question_transfer_count": index % 2,
                "source": source,
                "network": f"networks/{country}/{city}.json",
            }
            rows.append({"extra_info": info})
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def laid_out(file: Path, **where: Any) -> CurriculumPlan:
    stage = {"name": "one", "types": ["planning"], "where": where}
    block = {"train_files": str(file), "train_batch_size": 2, "curriculum": {"stages": [stage]}}
    return plan_curriculum(OmegaConf.create(block))


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"difficulty_city": "easy"}, {4, 5, 6, 7}),
        ({"difficulty_city": ["easy", "middle"], "question_transfer_count": 1}, {5, 7, 9, 11}),
        ({"city": ["dalian", "nea"], "question_transfer_count": 0}, {0, 2, 8, 10}),
        ({"source": "synthetic"}, {8, 9, 10, 11}),
        ({"country": "china"}, {0, 1, 2, 3}),
        ({"script": "chinese"}, {0, 1, 2, 3}),
        ({"script": ["latin", "greek"], "source": "reasonmap"}, {4, 5, 6, 7}),
    ],
    ids=str,
)
def test_only_rows_with_these_values_are_trained(
    file: Path, where: dict[str, Any], rows: set[int]
) -> None:
    schedule = laid_out(file, **where).schedule
    assert {row for step in schedule.rows_by_step().values() for row in step} == rows


def test_an_absent_script_is_reported_with_the_present_ones(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"where\.script.*chinese \(4 rows\), latin \(4 rows\)"):
        laid_out(file, script="cyrillic")


def test_an_unknown_key_is_reported_with_the_known_ones(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"type; computed from their network: script"):
        laid_out(file, language="english")


@pytest.mark.parametrize(
    ("names", "script"),
    [
        (["Sankt Hanshaugen", "Tøyen"], "latin"),
        (["Китай-город", "Line 1"], "cyrillic"),
        (["2号线 西安路站"], "chinese"),
        (["12", "–"], "none"),
        ([], "none"),
    ],
)
def test_the_script_is_that_of_most_letters(names: list[str], script: str) -> None:
    assert script_of(names) == script
