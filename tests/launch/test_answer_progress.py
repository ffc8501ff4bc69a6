"""Progress of a model that answers questions."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from rewardmap_verl.launch import answer_progress
from rewardmap_verl.launch.answer_progress import AnswerProgress
from rewardmap_verl.launch.display import Display


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 100.0, 101.0, 110.0, 120.0])  # loading the model takes 100 seconds
    clock = SimpleNamespace(monotonic=lambda: next(times))
    monkeypatch.setattr(answer_progress, "time", clock)
    console = Console(file=io.StringIO(), width=80)
    with Display(console) as display:
        progress = AnswerProgress(display, 100)
        for count in (0, 10, 10, 10, 10, 60):
            progress(count)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "10/100 questions answered",
        "40/100 questions answered  eta 0:40",
    ]
