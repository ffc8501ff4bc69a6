"""The check of a merged model finds the shards of a checkpoint, wherever its tracker points."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rewardmap_verl.checkpoints.folders import TRACKER
from rewardmap_verl.errors import ConfigError, DataError
from rewardmap_verl.reports.merged import compare_with_checkpoint


@pytest.mark.parametrize("text", ["1/../../elsewhere", "", "\x00", "nine"])
def test_a_tracker_leads_to_no_other_folder(tmp_path: Path, text: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "model_world_size_1_rank_0.pt").write_bytes(b"not a checkpoint")
    (tmp_path / "run" / "global_step_1").mkdir(parents=True)
    (tmp_path / "run" / TRACKER).write_text(text)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="no shards"):
        compare_with_checkpoint(tmp_path / "run", tmp_path)


def test_a_model_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "model_world_size_1_rank_0.pt")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot load this model"):
        compare_with_checkpoint(tmp_path, tmp_path)
