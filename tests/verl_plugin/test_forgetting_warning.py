"""The replay buffer warns of forgotten types when a validation is complete."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import verl  # noqa: F401  first: its plugins are loaded at its end
from omegaconf import OmegaConf

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import RecordWriter
from rewardmap_verl.verl_plugin.forgetting_warning import remedy
from rewardmap_verl.verl_plugin.replay_buffer import RewardMapReplayBuffer

CONFIG = OmegaConf.create(
    {
        "data": {"curriculum": {"replay": 0.1}},
        "actor_rollout_ref": {
            "actor": {"use_kl_loss": True, "kl_loss_coef": 1e-3, "optim": {"lr": 1e-6}}
        },
    }
)


class Trainer(SimpleNamespace):
    def refill(self) -> None: ...


def validation(accuracy: float) -> list[Group]:
    return [
        Group("validation", "TorF1", row, row, 0, False, {"acc": (accuracy,)}, place=f"{row}")
        for row in range(20)
    ]


def trained(stage: str, kind: str) -> list[Group]:
    return [Group(stage, kind, 0, 0, 0, False, {"acc": (1.0,)})]


def test_the_last_batch_of_a_validation_warns_also_after_resuming(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record.jsonl"
    writer = RecordWriter(record)
    writer.write("train", 1, trained("judgment", "TorF1"))
    writer.write("val", 1, validation(1.0))
    writer.write("train", 2, trained("planning", "planning"))
    buffer: Any = RewardMapReplayBuffer(
        trainer_mode="sync",
        trainer_config={},
        max_off_policy_threshold=8,
        max_off_policy_strategy="drop",
        sampler_kwargs=OmegaConf.create({"record": str(record)}),
        refill_fn=Trainer(config=CONFIG, val_dataset=range(20)).refill,
    )
    buffer._deadline.cancel()
    now = [*validation(0.0)[:15], *validation(1.0)[15:]]
    buffer._check_forgetting(2, now[:12])
    assert not capsys.readouterr().err, "the validation is not complete"
    buffer._check_forgetting(2, now[12:])
    warning = capsys.readouterr().err
    assert warning.startswith("  warning: TorF1 of stage judgment fell on held-out maps from 100%")
    assert warning.count("\n") == 1 and "data.curriculum.replay (now 0.1)" in warning


def test_the_warning_names_the_settings_with_their_values() -> None:
    text = remedy(CONFIG)
    assert "data.curriculum.replay (now 0.1)" in text and "kl_loss_coef (now 0.001)" in text
    assert "optim.lr (now 1e-06)" in text
