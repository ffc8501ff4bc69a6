"""Several engines in processes of their own; the engines are stand-ins without a model."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.data_parallel import DataParallelEngine, engine_devices
from rewardmap_verl.evaluation.inference import Generation
from rewardmap_verl.evaluation.questions import EvalSet

ENGINE = """
import os
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.evaluation.answer_log import LoggedAnswer

class Engine:
    def __init__(self, model, generation, questions):
        if model == "broken":
            raise ConfigError("vLLM, broken", found="no weights")
        self.model, self.started = model, os.getpid()

    def answer(self, batch):
        if self.model == "dies":
            os._exit(3)
        text = f"{os.environ['DEVICES']} {self.started}"
        return [LoggedAnswer(one.key, one.index, text, 1, "stop") for one in batch]
"""
DEVICES = ({"DEVICES": "0,1"}, {"DEVICES": "2,3"}, {"DEVICES": "4,5"})

Start = Callable[[str], DataParallelEngine]


@pytest.fixture
def twelve(ask: Callable[..., EvalSet], make_row: Any) -> EvalSet:
    return ask([make_row("TorF1", index) for index in range(12)])


@pytest.fixture
def start(twelve: EvalSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """What starts three engines; the class lies where their processes can import it."""
    (tmp_path / "stand_in_engine.py").write_text(ENGINE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    kind = importlib.import_module("stand_in_engine").Engine
    return lambda model: DataParallelEngine(model, Generation(), twelve, kind, DEVICES)


def test_answers_keep_their_order_and_engines_their_processes(
    start: Start, twelve: EvalSet
) -> None:
    engine = start("model")
    first = engine.answer(twelve.items[:10])
    second = engine.answer(twelve.items[10:])
    assert [one.key for one in (*first, *second)] == [one.key for one in twelve.items]
    texts = [one.response for one in first]
    assert [text.split()[0] for text in texts] == ["0,1"] * 3 + ["2,3"] * 3 + ["4,5"] * 4
    assert len(set(texts)) == 3
    assert {one.response for one in second} <= set(texts), "no engine starts again"


def test_an_engine_that_fails_to_start_is_reported(start: Start, twelve: EvalSet) -> None:
    with pytest.raises(ConfigError, match="vLLM, broken: found 'no weights'"):
        start("broken").answer(twelve.items)


def test_an_engine_that_dies_is_reported(start: Start, twelve: EvalSet) -> None:
    with pytest.raises(ConfigError, match=r"an engine died.*The same command resumes"):
        start("dies").answer(twelve.items)


@pytest.mark.parametrize(
    ("visible", "engines", "each", "devices"),
    [
        ("0,1,2,3", 4, 1, ["0", "1", "2", "3"]),
        ("0,1,2,3,4,5,6,7", 3, 2, ["0,1", "2,3", "4,5"]),
        ("GPU-b,GPU-a", 2, 1, ["GPU-b", "GPU-a"]),
    ],
)
def test_engines_share_the_visible_gpus(
    visible: str, engines: int, each: int, devices: list[str]
) -> None:
    assert engine_devices(visible, engines, each) == devices


@pytest.mark.parametrize("visible", ["", "0,1,2"])
def test_too_few_gpus_for_the_engines_are_an_error(visible: str) -> None:
    with pytest.raises(ConfigError, match=r"2 engines × 2 .* need 4"):
        engine_devices(visible, 2, 2)
