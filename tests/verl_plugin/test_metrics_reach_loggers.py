"""A step's metrics go through verl's own ``Tracking`` to console, tensorboard and wandb."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import verl  # noqa: F401  first: its plugins are loaded at its end
from verl.utils.tracking import Tracking

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.metrics import training_metrics

FIGURES = ("score", "acc", "format", "detail", "no_signal", "unreadable", "leg_surplus_max")
"""A sample of the planning metrics; the test checks every metric that was sent."""


@pytest.fixture
def metrics() -> dict[str, float]:
    """What two planning groups and a counting group of one step give."""
    planning = {
        "score": (0.0, 24.0),
        "acc": (0.0, 1.0),
        "format": (0.0, 1.0),
        "detail": (0.0, 10.0),
        "readable": (0.0, 1.0),
        "leg_surplus": (None, 0.0),
    }
    counting = {"score": (11.0, 11.0), "acc": (1.0, 1.0), "detail": (None, None)}
    return training_metrics(
        [
            Group("planning", "planning", 0, 0, 0, False, planning),
            Group("planning", "planning", 1, 1, 0, False, planning),
            Group("planning", "Counting2", 2, 2, 0, False, counting),
        ]
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the loggers write; nothing leaves the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path / "events"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    return tmp_path


def send(metrics: dict[str, float], backends: list[str]) -> None:
    tracking = Tracking("rewardmap", "test", backends, config={"trainer": {}})
    tracking.log(data=metrics, step=7)
    tracking.finish()


def tensorboard_figures(folder: Path) -> dict[str, tuple[int, float]]:
    """Return step and value of every metric in the event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    last = {tag: events.Scalars(tag)[-1] for tag in events.Tags()["scalars"]}
    return {tag: (event.step, event.value) for tag, event in last.items()}


def log_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a file in LevelDB's log format, after wandb's header of 7 bytes.

    A piece of a record has a header of 7 bytes (checksum 4, length 2, kind 1) and never crosses
    a block of 32 KiB; kind 1 is complete, 2 the first part, 3 a middle part, 4 the last part.
    """
    at, record = 7, b""
    while at + 7 <= len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def wandb_figures(folder: Path) -> dict[str, float]:
    """Return what the history of the offline run in a folder holds."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    found: dict[str, float] = {}
    for data in log_records(path.read_bytes()):
        for item in Record.FromString(data).history.item:
            found[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    return found


def test_all_figures_are_there(metrics: dict[str, float]) -> None:
    assert {f"rewardmap/planning/planning/{name}" for name in FIGURES} <= metrics.keys()
    assert "rewardmap/planning/Counting2/acc" in metrics


def test_metrics_reach_console_and_tensorboard(
    metrics: dict[str, float], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    send(metrics, ["console", "tensorboard"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in metrics)
    found = tensorboard_figures(home / "events")
    assert found == {name: (7, pytest.approx(value)) for name, value in metrics.items()}


def test_metrics_reach_wandb_beside_the_others(metrics: dict[str, float], home: Path) -> None:
    pytest.importorskip("wandb")
    pytest.importorskip("tensorboard")
    send(metrics, ["console", "tensorboard", "wandb"])
    found = wandb_figures(home)
    assert found["_step"] == 7
    assert {name: found.get(name) for name in metrics} == pytest.approx(metrics)
    assert tensorboard_figures(home / "events").keys() == metrics.keys()
