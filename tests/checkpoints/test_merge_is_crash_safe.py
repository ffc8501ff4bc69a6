"""A merge that is killed at any moment leaves the old model or the new one, complete."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardmap_verl.checkpoints.merge import merge
from rewardmap_verl.preparation import atomic
from tests.kill_points import kill_points

FILES = ("config.json", "model.safetensors")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with a checkpoint; verl's merger is replaced, since only the swap is tested here."""
    actor = tmp_path / "checkpoints" / "actor"
    (actor / "huggingface").mkdir(parents=True)
    (actor / "huggingface" / "config.json").touch()
    note = "actor_rollout_ref: {rollout: {dtype: bfloat16}}"
    (tmp_path / "checkpoints" / "rewardmap_run.yaml").write_text(note)

    def write(shards: Path, target: Path, timeout: float) -> None:
        for name in FILES:
            (target / name).write_text("new")

    monkeypatch.setattr("rewardmap_verl.checkpoints.merge.run_merger", write)
    return tmp_path / "checkpoints"


def content(folder: Path) -> set[str]:
    return {(folder / name).read_text() for name in FILES}


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_replacing_a_model(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    output = tmp_path / "merged"
    output.mkdir()
    for name in FILES:
        (output / name).write_text("old")
    for _ in kill_points(lambda: merge(run, output, replace=True)):
        if exchange or output.exists():
            assert content(output) in ({"old"}, {"new"})
        else:
            assert content(tmp_path / ".merged.previous") == {"old"}
    assert content(merge(run, output, replace=True)) == {"new"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_writing_a_model(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "merged"
    for _ in kill_points(lambda: merge(run, output)):
        assert not output.exists()
    assert content(output) == {"new"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupt_keeps_the_old_model(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(shards: Path, target: Path, timeout: float) -> None:
        raise KeyboardInterrupt

    output = tmp_path / "merged"
    merge(run, output)
    monkeypatch.setattr("rewardmap_verl.checkpoints.merge.run_merger", interrupt)
    with pytest.raises(KeyboardInterrupt):
        merge(run, output, replace=True)
    assert content(output) == {"new"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
