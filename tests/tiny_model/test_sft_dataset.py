"""The cached SFT dataset returns the same rows as verl's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.tiny_model.build import build_tiny_model
from rewardmap_verl.tiny_model.cold_start import write_conversations
from rewardmap_verl.tiny_model.conversations import Conversation

pytest.importorskip("verl")

CONFIG = {"pad_mode": "no_padding", "max_length": 256, "truncation": "error"}


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    Image.new("RGB", (84, 56), "red").save(tmp_path / "map.png")
    found = Conversation(
        QuestionType.TORF1,
        "<image>\nIs Cato on Line 1?",
        "\\boxed{yes}",
        tmp_path / "map.png",
        84 * 56,
    )
    write_conversations([found], tmp_path / "rows.parquet")
    build_tiny_model(tmp_path / "model", [found.prompt, found.answer] * 3)
    return tmp_path


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other)


def test_rows_equal_verls_and_are_processed_once(
    rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
    from verl.utils.tokenizer import hf_processor, hf_tokenizer

    from rewardmap_verl.tiny_model.sft_dataset import CachedConversations

    arguments = {
        "parquet_files": [str(rows / "rows.parquet")],
        "tokenizer": hf_tokenizer(rows / "model"),
        "processor": hf_processor(rows / "model"),
        "config": OmegaConf.create(CONFIG),
    }
    ours = CachedConversations(**arguments)
    assert same(ours[0], MultiTurnSFTDataset(**arguments)[0])  # which checks the template, too
    ours[0].clear()
    monkeypatch.setattr(MultiTurnSFTDataset, "__getitem__", None)
    assert int(ours[0]["loss_mask"].sum()) == len(
        arguments["tokenizer"].encode("\\boxed{yes}<|im_end|>\n")
    )
