"""Replay: rows of other stages in every stage."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from rewardmap_verl.curriculum.config import CurriculumConfig
from rewardmap_verl.curriculum.schedule import Schedule, Slot, build_schedule
from rewardmap_verl.curriculum.stage_rows import plan_stages

BATCH = 10
COUNTS = {"TorF1": 30, "TorF2": 10, "Counting2": 40, "Counting3": 20, "Counting1": 20}
KINDS = [kind for kind, count in {**COUNTS, "planning": 70}.items() for _ in range(count)]


def laid_out(**settings: Any) -> Schedule:
    config = CurriculumConfig.model_validate({"stages": "staged", **settings})
    stages = plan_stages(config, {"type": KINDS}, BATCH)
    return build_schedule(stages, config.seed, BATCH)


def slots_of(schedule: Schedule, stage: int) -> list[Slot]:
    return [slot for slot in schedule.slots if slot.stage == stage]


def replayed(schedule: Schedule, slots: list[Slot]) -> list[Slot]:
    return [slot for slot in slots if schedule.stages[slot.stage].streams[slot.stream].replay]


def test_every_later_stage_has_the_share_and_each_earlier_type_equally() -> None:
    schedule = laid_out(replay=0.3)
    assert not replayed(schedule, slots_of(schedule, 0)), "nothing is earlier than the first stage"
    planning = slots_of(schedule, 3)
    assert len(planning) == 100, "70 rows are 70 % of the stage"
    kinds = Counter(KINDS[slot.row] for slot in replayed(schedule, planning))
    assert set(kinds) == set(COUNTS) and set(kinds.values()) == {6}
    for start in range(0, 100, BATCH):
        batch = replayed(schedule, planning[start : start + BATCH])
        assert len(batch) == pytest.approx(3, abs=1), "every batch has about the share"


def test_the_stage_trains_each_of_its_own_rows_once() -> None:
    schedule = laid_out(replay=0.5)
    for stage in range(4):
        slots = slots_of(schedule, stage)
        again = {id(slot) for slot in replayed(schedule, slots)}
        own = Counter(slot.row for slot in slots if id(slot) not in again and not slot.repeat)
        assert set(own.values()) == {1}
        assert sum(own.values()) == sum(
            len(stream.rows) for stream in schedule.stages[stage].streams if not stream.replay
        )


def test_all_other_stages_can_be_replayed_from_the_first_on() -> None:
    schedule = laid_out(replay=0.5, replay_from="all")
    kinds = {KINDS[slot.row] for slot in replayed(schedule, slots_of(schedule, 0))}
    assert kinds == {"Counting1", "Counting2", "Counting3", "planning"}


def test_the_order_without_replay_is_unchanged_and_the_seed_decides() -> None:
    assert laid_out(replay=0.0, replay_from="all").slots == laid_out().slots
    assert laid_out(replay=0.3).slots == laid_out(replay=0.3).slots
    assert laid_out(replay=0.3).slots != laid_out(replay=0.3, seed=2).slots


def test_a_stage_keeps_the_replay_of_its_own_mixture() -> None:
    mixture = [{"types": ["planning"]}, {"types": ["TorF1"], "replay": True}]
    stages = [
        {"name": "perception", "types": list(COUNTS), "steps": 2},
        {"name": "planning", "mixture": mixture},
    ]
    schedule = laid_out(stages=stages, replay=0.3)
    assert {KINDS[slot.row] for slot in slots_of(schedule, 1)} == {"planning", "TorF1"}


def test_a_stage_of_steps_keeps_its_length() -> None:
    stages = [
        {"name": "perception", "types": list(COUNTS), "steps": 2},
        {"name": "planning", "types": ["planning"], "steps": 5},
    ]
    schedule = laid_out(stages=stages, replay=0.2)
    assert schedule.spans[1].steps == 5
    assert len(replayed(schedule, slots_of(schedule, 1))) == 10


def test_demotion_observes_replayed_rows() -> None:
    stages = [
        {"name": "perception", "types": list(COUNTS)},
        {"name": "planning", "types": ["planning"], "demote": {"below": 0.5}},
    ]
    assert CurriculumConfig.model_validate({"stages": stages, "replay": 0.1}).is_adaptive
    with pytest.raises(ValidationError, match="demote of stage 'planning' observes replayed rows"):
        CurriculumConfig.model_validate({"stages": stages})


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(ValidationError, match="replay"):
        CurriculumConfig.model_validate({"replay": share})
