"""Signal of a model's groups before training."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from rewardmap_verl.evaluation.answer_log import LoggedAnswer
from rewardmap_verl.evaluation.questions import EvalQuestion, EvalSet
from rewardmap_verl.evaluation.signal import measure_signal, sample_questions, signal_table
from rewardmap_verl.rewards.config import RewardConfig


class Undecided:
    """An engine that says yes and no in turn to even questions, and yes to odd ones."""

    def answer(self, batch: Sequence[EvalQuestion]) -> list[LoggedAnswer]:
        texts = [
            "no" if one.index % 2 == 0 and place % 2 else "yes" for place, one in enumerate(batch)
        ]
        return [
            LoggedAnswer(one.key, one.index, f"\\boxed{{{text}}}", 3, "stop")
            for one, text in zip(batch, texts, strict=True)
        ]


@pytest.fixture
def questions(ask: Any, make_row: Any) -> EvalSet:
    kinds = ["TorF1"] * 20 + ["TorF2"] * 20 + ["planning"] * 20
    return ask([make_row(kind, i) for i, kind in enumerate(kinds)])  # type: ignore[no-any-return]


def test_groups_with_equal_rewards_have_no_signal(questions: EvalSet) -> None:
    done: list[int] = []
    found = measure_signal(questions, Undecided(), 100, RewardConfig(), done.append)
    by_kind = {one.kind: one for one in found}
    assert list(by_kind) == ["TorF1", "TorF2", "planning", "all"] and sum(done) == 60
    judged = by_kind["TorF1"]
    assert judged.groups == 20 and judged.accuracy == 0.75
    assert judged.no_signal.mean == judged.no_signal_binary.mean == 0.5
    assert judged.no_signal.low < 0.5 < judged.no_signal.high
    assert by_kind["planning"].no_signal.mean == 1.0 and by_kind["planning"].unreadable == 1.0
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(signal_table(found, 100))
    assert "groups of 100 sampled answers" in console.export_text()


def test_the_sample_has_each_type_and_depends_on_the_seed_only(questions: EvalSet) -> None:
    chosen = sample_questions(questions, 5, seed=1)
    kinds = Counter(str(one.truth.type) for one in chosen.items)
    assert kinds == {"TorF1": 5, "TorF2": 5, "planning": 5}
    assert chosen.items == sample_questions(questions, 5, seed=1).items
    assert chosen.items != sample_questions(questions, 5, seed=2).items
    assert len(sample_questions(questions, 100).items) == 60
