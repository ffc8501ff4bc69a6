"""Promotion and demotion of stages."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from rewardmap_verl.curriculum.config import DemoteConfig, PromoteConfig
from rewardmap_verl.curriculum.promotion import CurriculumState, StageRule, after_step


def rules(
    promote: PromoteConfig | None = None, demote: DemoteConfig | None = None, planned: int = 100
) -> list[StageRule]:
    """Three stages; the first is promoted, the second may fall back."""
    return [StageRule(planned, promote), StageRule(planned, None, demote), StageRule(planned)]


def walk(metrics: list[float], chosen: list[StageRule]) -> list[int]:
    """The stage after every step, if the metric of the current stage is the given one."""
    state, stages = CurriculumState(), []
    for metric in metrics:
        state = after_step(state, {state.stage: metric}, chosen)
        stages.append(state.stage)
    return stages


def test_without_evidence_a_stage_lasts_as_planned() -> None:
    assert walk([1.0] * 5, rules(planned=2)) == [0, 1, 1, 2, 2]


def test_a_reached_accuracy_promotes_once_it_has_held() -> None:
    promote = PromoteConfig(reach=0.8, window=2, patience=2)
    #  mean of the last two:      –    0.7  0.85 0.9 → held twice after the fourth step
    assert walk([0.5, 0.9, 0.8, 1.0], rules(promote)) == [0, 0, 0, 1]


def test_one_lucky_batch_does_not_promote() -> None:
    promote = PromoteConfig(reach=0.8, window=1, patience=2)
    assert walk([0.9, 0.1, 0.9, 0.1, 0.9], rules(promote)) == [0] * 5


def test_a_stage_has_a_minimum_number_of_steps() -> None:
    promote = PromoteConfig(reach=0.5, window=1, patience=1, min_steps=4)
    assert walk([1.0] * 4, rules(promote)) == [0, 0, 0, 1]


def test_a_plateau_promotes() -> None:
    promote = PromoteConfig(plateau=0.05, window=2, patience=1)
    assert walk([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4], rules(promote)) == [0] * 6 + [1]


def test_the_planned_length_is_the_maximum() -> None:
    promote = PromoteConfig(reach=0.99, window=1, patience=1)
    assert walk([0.0] * 4, rules(promote, planned=3)) == [0, 0, 1, 1]


def test_the_last_stage_continues() -> None:
    assert walk([0.0] * 9, rules(planned=2))[-1] == 2


def test_a_forgotten_stage_is_repeated_and_the_paused_one_resumes() -> None:
    demote = DemoteConfig(below=0.5, window=2, patience=1)
    promote = PromoteConfig(reach=0.9, window=1, patience=1)
    state = CurriculumState(stage=1, steps=7)
    for metric in (0.6, 0.2):
        state = after_step(state, {0: metric, 1: 0.0}, rules(promote, demote))
    assert state == CurriculumState(stage=0, paused=(1, 9))
    state = after_step(state, {0: 0.3}, rules(promote, demote))
    assert state.stage == 0
    state = after_step(state, {0: 0.95}, rules(promote, demote))
    assert state == CurriculumState(stage=1, steps=9)


def test_a_fluctuating_metric_causes_no_fallback() -> None:
    demote = DemoteConfig(below=0.5, window=1, patience=2)
    state = CurriculumState(stage=1)
    for metric in (0.4, 0.6, 0.4, 0.6):
        state = after_step(state, {0: metric}, rules(None, demote))
    assert state.stage == 1


@given(
    st.lists(st.dictionaries(st.integers(0, 2), st.floats(0, 1)), max_size=40),
    st.integers(0, 40),
)
def test_the_state_survives_json(metrics: list[dict[int, float]], stop: int) -> None:
    promote = PromoteConfig(reach=0.6, plateau=0.01, window=2, patience=2)
    demote = DemoteConfig(below=0.4, window=2, patience=1)
    chosen = rules(promote, demote, planned=9)
    uninterrupted = resumed = CurriculumState()
    for index, seen in enumerate(metrics):
        if index == stop:
            resumed = CurriculumState.from_json(json.loads(json.dumps(resumed.as_json())))
        uninterrupted = after_step(uninterrupted, seen, chosen)
        resumed = after_step(resumed, seen, chosen)
        assert resumed == uninterrupted
