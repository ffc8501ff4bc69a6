"""Accuracy on held-out questions beside answers without a model, and its meaning in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import Entry
from rewardmap_verl.evaluation.statistics import Interval
from rewardmap_verl.preparation.records import read_prepared_questions
from rewardmap_verl.reports.conclusions import conclusions
from rewardmap_verl.reports.held_out import HeldOut, held_out, read_baselines
from rewardmap_verl.reports.run_summary import summary_of


def entry(step: int, right: Sequence[float], kind: str = "TorF1", first_row: int = 0) -> Entry:
    groups = tuple(
        Group("validation", kind, first_row + row, 0, 0, False, {"acc": (value,)})
        for row, value in enumerate(right)
    )
    return Entry("val", step, float(step), groups)


def line(before: Sequence[float], after: Sequence[float], kind: str = "TorF1") -> HeldOut:
    (found,) = held_out([entry(0, before, kind), entry(9, after, kind)])
    return found


def test_before_after_and_change_have_intervals() -> None:
    found = line([0.0] * 30 + [1.0] * 10, [1.0] * 30 + [0.0] * 10)
    assert found.questions == 40
    assert found.before is not None and found.before.mean == 0.25
    assert found.after.mean == 0.75 and found.after.low < 0.75 < found.after.high
    assert found.change is not None and found.change.mean == 0.5
    assert found.chance is found.majority is found.lead is None, "no data, no baselines"


def test_a_resumed_run_counts_its_later_validation() -> None:
    (found,) = held_out([entry(0, [0.0] * 4), entry(9, [0.0] * 4), entry(9, [1.0] * 4)])
    assert found.after.mean == 1.0


def test_a_single_validation_has_no_change() -> None:
    (found,) = held_out([entry(0, [1.0, 0.0])])
    assert found.before is None and found.change is None
    assert conclusions([found], {}) == []


def test_all_types_together_come_last() -> None:
    kinds = [entry(9, [1.0], "planning", 0), entry(9, [0.0], "TorF1", 1)]
    found = {one.kind: one for one in held_out(kinds)}
    assert list(found) == ["planning", "TorF1", "all"] and found["all"].after.mean == 0.5


def test_baselines_come_from_the_data_of_the_run(run_folder: Path, prepared: Path) -> None:
    found = {one.kind: one for one in summary_of(run_folder).held_out}
    test, train = (
        Counter(
            record.truth.answer
            for record in read_prepared_questions(prepared, split)
            if str(record.truth.type) == "TorF1"
        )
        for split in ("test", "train")
    )
    frequent = min(train, key=lambda value: (-train[value], value))
    true_or_false = found.get("TorF1")
    if true_or_false is not None and true_or_false.questions == sum(test.values()):
        assert true_or_false.majority == test[frequent] / sum(test.values())
    for one in found.values():
        assert one.chance is not None and 0 <= one.chance < 0.8
        assert one.majority is not None and one.lead is not None
        assert one.lead.mean == pytest.approx(one.after.mean - one.majority)


def test_data_that_are_gone_give_no_baselines(tmp_path: Path) -> None:
    assert read_baselines({"data": {"val_files": str(tmp_path / "test.parquet")}}) is None
    assert read_baselines({}) is None


UP = line([0.0] * 40, [0.0, 1.0] * 20, "planning")
FLAT = line([0.0, 0.0, 1.0] * 20, [0.0, 0.0, 1.0] * 20, "TorF2")
DOWN = line([1.0] * 40, [0.0] * 40, "Counting1")


def test_words_say_what_was_learned_and_what_was_not() -> None:
    result, advice = conclusions([UP, FLAT], {"TorF2": 0.9})
    assert "Learned: planning (0% to 50%)" in result and "; unchanged: TorF2" in result
    assert "TorF2 had no signal" in advice


def test_solved_types_need_no_signal_and_few_questions_decide_nothing() -> None:
    solved = line([1.0] * 39 + [0.0], [0.0] + [1.0] * 39, "TorF1")
    few = line([1.0, 0.0] * 4, [0.0, 1.0] * 4, "Counting3")
    result, advice = conclusions([UP, solved, few], {"TorF1": 0.9})
    assert "unchanged: TorF1; too few questions to tell: Counting3 (8)" in result
    assert "intervals of Counting3 are wide" in advice


def test_a_type_that_stays_at_the_majority_answer_was_not_learned() -> None:
    lead = Interval(0.0, -0.1, 0.1, 60, "maps")
    result, _ = conclusions([UP, replace(FLAT, lead=lead)], {})
    assert "; not learned: TorF2" in result


def test_words_name_what_was_unlearned_first() -> None:
    result, advice = conclusions([FLAT, DOWN], {"TorF2": 0.9})
    assert result.startswith("No question type was learned; unlearned: Counting1 (100% to 0%)")
    assert "unlearn Counting1" in advice and "replay" in advice


def test_words_after_success_lead_to_the_report() -> None:
    _, advice = conclusions([UP], {})
    assert "rewardmap report" in advice
