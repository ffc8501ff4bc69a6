"""Model folders appear only when they are complete, wherever their command is killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from rewardmap_verl.questions.types import QuestionType
from rewardmap_verl.tiny_model import build, cold_start, vision_pretraining
from rewardmap_verl.tiny_model.conversations import Conversation
from tests.kill_points import kill_points

FILES = {"config.json", "model.safetensors", "tokenizer.json"}


def saver(*names: str) -> SimpleNamespace:
    """Something with ``save_pretrained`` that writes empty files."""

    def save(folder: Path) -> None:
        for name in names:
            (folder / name).touch()

    return SimpleNamespace(save_pretrained=save)


def check(action: Callable[[Path], object], output: Path) -> None:
    for _ in kill_points(lambda: action(output)):
        assert not output.exists()
    assert {path.name for path in output.iterdir()} == FILES
    assert [path.name for path in output.parent.iterdir() if path.name.startswith(".")] == []


def test_building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "train_tokenizer", lambda texts, vocabulary: None)
    monkeypatch.setattr(build, "make_processor", lambda tokenizer: saver("tokenizer.json"))
    monkeypatch.setattr(build, "make_config", lambda processor, size: None)
    weights = saver("config.json", "model.safetensors")
    monkeypatch.setattr(build, "make_model", lambda config, seed: weights)
    check(lambda output: build.build_tiny_model(output, ["text"]), tmp_path / "models" / "tiny")


def test_supervised_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = tmp_path / "start"
    start.mkdir()
    for name in FILES:
        (start / name).touch()

    def train(command: Sequence[str], work: Path, *_: object) -> None:
        trained = work / "global_step_3" / "huggingface"
        trained.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (trained / name).touch()

    monkeypatch.setattr(cold_start, "_run", train)
    rows = [Conversation(QuestionType.TORF1, "<image>?", "\\boxed{yes}", Path("/a.png"), 100)]
    check(
        lambda output: cold_start.cold_start(start, rows, output, steps=3),
        tmp_path / "models" / "started",
    )


def test_vision_pretraining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "tokenizer.json").touch()
    weights = saver("config.json", "model.safetensors")
    monkeypatch.setattr(vision_pretraining, "train_tower", lambda *arguments: weights)
    check(
        lambda output: vision_pretraining.pretrain_vision(start, [], output),
        tmp_path / "models" / "seeing",
    )
