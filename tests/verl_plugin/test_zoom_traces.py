"""verl's SFT dataset reads traces: tokens and pictures are those of a run with the same turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from typer.testing import CliRunner
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

from rewardmap_verl.commands.main import app
from rewardmap_verl.tiny_model.build import make_processor
from tests.verl_plugin.test_zoom_tool import run

LINES = {"Line 1": ["Alpha", "Beta", "Gamma", "Delta"], "Line 2": ["Beta", "Epsilon", "Zeta"]}
ZOOM = ("max_calls=2", "max_pixels=12544", "min_pixels=3136", "describe=false")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Traces about two maps, in ``traces``."""
    for city in ("one", "two"):
        for kind in ("stations", "maps"):
            (tmp_path / kind / "land").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"stations/land/{city}.json").write_text(json.dumps(LINES), encoding="utf-8")
        noise = np.random.default_rng(0).integers(0, 256, (560, 420, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"maps/land/{city}.png")
    settings = [word for setting in ZOOM for word in ("--zoom", setting)]
    prepare = ("prepare", "local", "--root", tmp_path, "--size", "tiny", "--keep-originals")
    export = ("export", tmp_path / "data", "verl", "--reasoning", "zoom", *settings)
    for words in (
        (*prepare, "--test-city", "two", "--out", tmp_path / "data"),
        (*export, "--out", tmp_path / "traces"),
    ):
        done = CliRunner().invoke(app, list(map(str, words)))
        assert done.exit_code == 0, done.output
    return tmp_path


def test_a_trace_is_what_a_run_would_be(folder: Path, processor: Any) -> None:
    ours = make_processor(processor.tokenizer.backend_tokenizer)
    path = folder / "traces" / "train.parquet"
    config = OmegaConf.create({"max_length": 4096, "pad_mode": "no_padding"})
    data = MultiTurnSFTDataset(str(path), ours.tokenizer, config, ours)
    rows = pq.read_table(path).to_pylist()
    prepared = folder / "data"
    assert len(data) == len(rows) > 5
    for item, row in zip(map(data.__getitem__, range(len(rows))), rows, strict=True):
        said = [one["content"] for one in row["messages"] if one["role"] == "assistant"]
        question = row["messages"][0]["content"].removeprefix("<image>")
        picture = {"type": "image", **row["images"][0]}
        done = run(
            ours,
            prepared,
            said,
            response=3000,
            content=[picture, {"type": "text", "text": question}],
            original=original_of(prepared, row["images"][0]["image"]),
        )
        ids = item["input_ids"].tolist()
        assert ids[: len(done.ids)] == done.ids.tolist(), "the same tokens in a run"
        assert len(ids) - len(done.ids) <= 1, "the template ends the last turn with a line break"
        own = [0] * len(done.output.prompt_ids) + done.output.response_mask
        learned = item["loss_mask"].tolist()
        assert all(learned[place] for place, mine in enumerate(own) if mine)
        assert sum(learned) - sum(own) <= len(said), "and the line break after each turn"
        images = item["multi_modal_inputs"]
        assert torch.equal(images["image_grid_thw"], done.inputs["image_grid_thw"])
        assert torch.equal(images["pixel_values"], done.inputs["pixel_values"].tensor())


def original_of(prepared: Path, image: str) -> str:
    return str(prepared / "originals" / f"{Path(image).stem}.tif")
