"""A small prepared folder, as `make prep-data` writes it, for the tests of training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import DictConfig, OmegaConf
from PIL import Image

COUNTS = {"TorF1": 5, "TorF2": 4, "Counting2": 6, "Counting3": 5, "Counting1": 7, "planning": 9}
"""Rows of each type in the training file; with batches of 4 no stage is a whole number of them."""

STATIONS = {"Line A": ["Alpha", "Beta", "Gamma"], "Line B": ["Beta", "Delta"]}


def make_row(kind: str, index: int, split: str) -> dict[str, Any]:
    """Return a prepared row with a valid answer of its type."""
    truth = {
        "type": kind,
        "country": "testland",
        "city": "one",
        "station_1": "Alpha",
        "station_2": "Gamma" if kind in ("TorF1", "Counting1", "planning") else "",
        "line": "Line A" if kind == "TorF2" else "",
        "answer": -1 if kind == "planning" else 1,
        "question_transfer_count": 0,
        "difficulty_city": "easy",
        "form": "short" if kind == "planning" else "",
        "plans": [[{"route_name": "Line A", "departure_stop": "Alpha", "arrival_stop": "Gamma"}]]
        if kind == "planning"
        else [],
        "annotation": {},
    }
    return {
        "data_source": f"rewardmap/{kind}",
        "prompt": [{"role": "user", "content": f"<image>\nQuestion {index} of type {kind}?"}],
        "images": [{"image": f"images/map{index % 2}.png", "max_pixels": 56 * 56}],
        "ability": "transit_map",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {
            "index": index,
            "split": split,
            "type": kind,
            "country": "testland",
            "city": "one",
            "difficulty_city": "easy",
            "question_transfer_count": 0,
            "source": "synthetic",
            "network": "networks/testland/one.json",
            "prompt_tokens": 30,
        },
    }


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows as a parquet file."""
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def make_folder(folder: Path) -> Path:
    """Write maps, a network and two parquet files to one folder."""
    (folder / "images").mkdir(parents=True)
    (folder / "networks" / "testland").mkdir(parents=True)
    for index in range(2):
        Image.new("RGB", (56, 56), (200, 10 + index, 10)).save(folder / f"images/map{index}.png")
    network = folder / "networks/testland/one.json"
    network.write_text(json.dumps(STATIONS), encoding="utf-8")
    for split, counts in (("train", COUNTS), ("test", dict.fromkeys(COUNTS, 2))):
        kinds = [kind for kind, count in counts.items() for _ in range(count)]
        rows = [make_row(kind, index, split) for index, kind in enumerate(kinds)]
        write_rows(folder / f"{split}.parquet", rows)
    return folder


@pytest.fixture(scope="session")
def complete_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that passes the preflight: rows of every type for a batch on 64 GPUs, test
    rows of another city, a manifest, a model configuration. Copy it before changing it."""
    folder = tmp_path_factory.mktemp("complete")
    for split, count in (("train", 64), ("test", 2)):
        rows = [make_row(kind, index, split) for kind in COUNTS for index in range(count)]
        for row in rows:
            row["extra_info"]["city"] = "one" if split == "train" else "two"
        write_rows(folder / f"{split}.parquet", rows)
    for name in ("manifest.json", "config.json"):
        (folder / name).touch()
    return folder


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """A prepared folder that the test may change."""
    return make_folder(tmp_path / "data")


@pytest.fixture
def run_config() -> Callable[..., DictConfig]:
    """A function that builds the part of verl's configuration that the datasets read."""

    def build(folder: Path, *overrides: str) -> DictConfig:
        config = OmegaConf.create(
            {
                "data": {
                    "train_files": str(folder / "train.parquet"),
                    "val_files": str(folder / "test.parquet"),
                    "train_batch_size": 4,
                    "shuffle": False,
                    "seed": None,
                    "filter_overlong_prompts": False,
                    "cache_dir": str(folder.parent / "cache"),
                    "curriculum": {"seed": 3},
                },
                "trainer": {"total_epochs": 1},
            }
        )
        merged = OmegaConf.merge(config, OmegaConf.from_dotlist(list(overrides)))
        assert isinstance(merged, DictConfig)
        return merged

    return build


@pytest.fixture(scope="session")
def processor() -> Any:
    """The processor of the tiny model: the real Qwen2.5-VL class around a small tokenizer."""
    from rewardmap_verl.tiny_model.build import make_processor, train_tokenizer

    texts = [f"Question {index} of type {kind}?" for kind in COUNTS for index in range(10)]
    return make_processor(train_tokenizer(texts, 600))


@pytest.fixture(scope="session")
def row_of() -> Callable[[str, int, str], dict[str, Any]]:
    """A function that returns a prepared row by type, index and split."""
    return make_row
