"""Rows near a target difficulty that follows the accuracy, resumed exactly at any step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from rewardmap_verl.curriculum.config import CurriculumConfig, TargetConfig
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.schedule import Schedule, build_schedule
from rewardmap_verl.curriculum.stage_rows import needed_columns, plan_stages
from rewardmap_verl.curriculum.target_difficulty import TargetOrder, difficulties
from rewardmap_verl.errors import ConfigError

BATCH = 4
LEVELS = ("easy", "middle", "hard")
KINDS = ["TorF1"] * 12 + ["planning"] * 36
COLUMNS: dict[str, list[object]] = {
    "type": list(KINDS),
    "difficulty_city": [LEVELS[row % 3] for row in range(48)],
    "question_transfer_count": [0] * 12 + [row // 3 % 3 for row in range(36)],
}
STAGES = [{"name": "judgment", "types": ["TorF1"]}, {"name": "planning", "types": ["planning"]}]


def plan() -> Schedule:
    block = {"stages": STAGES, "target": {}, "replay": 0.3}  # replay has no effect
    settings = CurriculumConfig.model_validate(block)
    return build_schedule(plan_stages(settings, COLUMNS, BATCH), settings.seed, BATCH)


def make_order(**settings: float) -> TargetOrder:
    schedule = plan()
    return TargetOrder(TargetConfig(**settings), 1, schedule, difficulties(schedule, COLUMNS))


def run(
    order: TargetOrder, steps: range, accuracy: Callable[[int], float]
) -> list[tuple[list[int], float]]:
    """Train steps, each with an accuracy; return rows and target of each."""
    seen = []
    for step in steps:
        rows = [order.slot((step - 1) * BATCH + place).row for place in range(BATCH)]
        seen.append((rows, order.target))
        groups = [
            Group("any", KINDS[row], row, 0, 0, False, {"acc": (accuracy(step),)}) for row in rows
        ]
        order.observe(step, groups)
    return seen


def test_difficulty_follows_stage_map_and_transfers() -> None:
    found = difficulties(plan(), COLUMNS)
    assert found[0] == 0.0 and max(found.values()) == found[12 + 8] == 1.0
    assert max(found[row] for row in range(12)) < min(found[row] for row in range(12, 48))
    easy, hard = found[12], found[14]  # both direct
    assert easy < hard < found[12 + 5], "a transfer adds to a hard map"


def test_success_makes_it_harder_and_failure_easier() -> None:
    order = make_order(step=0.2)
    targets = [target for _, target in run(order, range(1, 31), lambda step: float(step < 16))]
    assert targets[0] == 0.0 and targets[:15] == sorted(targets[:15]) and targets[15] == 1.0
    assert targets[16:] == sorted(targets[16:], reverse=True) and order.target == 0.0
    steady = make_order(start=0.4)
    assert {target for _, target in run(steady, range(1, 9), lambda _: 0.5)} == {0.4}


def test_rows_near_the_target_take_turns() -> None:
    order = make_order()
    seen = run(order, range(1, 5), lambda _: 0.5)
    counts = Counter(row for rows, _ in seen for row in rows)
    assert set(counts) == {0, 3, 6, 9} and set(counts.values()) == {4}, "easy maps, in turn"
    assert len({tuple(rows) for rows, _ in seen}) == 1, "one order of equal rows"


def test_resuming_at_any_step_gives_the_same_rows() -> None:
    def accuracy(step: int) -> float:
        return (step * 7 % 10) / 10

    whole = run(make_order(step=0.3), range(1, 25), accuracy)
    for stop in (1, 7, 23):
        order = make_order(step=0.3)
        run(order, range(1, stop + 1), accuracy)
        resumed = make_order(step=0.3)
        resumed.load_state_dict(json.loads(json.dumps(order.state_dict())))
        assert run(resumed, range(stop + 1, 25), accuracy) == whole[stop:]


def test_scores_must_be_known_before_the_next_step() -> None:
    order = make_order()
    order.slot(0)
    with pytest.raises(ConfigError, match="step 2 was requested"):
        order.slot(BATCH)


def test_slots_have_the_stage_of_their_row() -> None:
    easy, hard = make_order(), make_order(start=1.0)
    assert easy.slot(0).stage == 0 and hard.slot(0).stage == 1


@pytest.mark.parametrize("other", [{"skip_solved": 2}, {"target": {"success": 1.0}}])
def test_settings_that_contradict_it_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CurriculumConfig.model_validate({"target": {}, **other})


def test_it_depends_on_answers_and_reads_the_difficulty() -> None:
    settings = CurriculumConfig.model_validate({"target": {}})
    assert settings.is_adaptive
    assert {"difficulty_city", "question_transfer_count"} <= set(needed_columns(settings))
