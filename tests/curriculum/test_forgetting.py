"""Falls on held-out maps after a stage has ended are found, and noise is not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from rewardmap_verl.curriculum.forgetting import (
    Fall,
    ForgettingMonitor,
    all_falls,
    interval_of_mean,
)
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.record import Entry

STAGES = (("judgment", "TorF1", 4), ("counting", "Counting2", 8), ("planning", "planning", 12))
MAPS, QUESTIONS = 12, 60

Accuracy = Callable[[str, int], float]  # type, step → probability of a correct answer


def train(step: int, replayed: str | None = None) -> list[Group]:
    stage, kind, _ = next(one for one in STAGES if step <= one[2])
    groups = [Group(stage, kind, 0, 0, 0, False, {"acc": (1.0,)})]
    if replayed is not None:
        groups.append(Group(stage, replayed, 1, 1, 0, False, {"acc": (1.0,)}, replay=True))
    return groups


def validate(step: int, accuracy: Accuracy, seed: int = 0, sampled: bool = False) -> list[Group]:
    groups = []
    for number, (_, kind, _) in enumerate(STAGES):
        for i in range(QUESTIONS):
            share = (i + 0.5) / QUESTIONS
            chance = random.Random(f"{seed}/{step}/{kind}/{i}").random() if sampled else share
            right = float(chance < accuracy(kind, step))
            row = number * QUESTIONS + i
            groups.append(
                Group(
                    "validation", kind, row, row, 0, False, {"acc": (right,)}, place=f"{i % MAPS}"
                )
            )
    return groups


def run(accuracy: Accuracy, seed: int = 0, sampled: bool = False) -> Iterator[Entry]:
    yield Entry("val", 0, 0.0, tuple(validate(0, accuracy, seed, sampled)))
    for step in range(1, 13):
        yield Entry("train", step, 0.0, tuple(train(step, "TorF1" if step > 4 else None)))
        if step % 2 == 0:
            whole = validate(step, accuracy, seed, sampled)
            yield Entry("val", step, 0.0, tuple(whole[:70]))
            yield Entry("val", step, 0.0, tuple(whole[70:]))


def forgets_counting(kind: str, step: int) -> float:
    return {8: 0.8, 10: 0.9}.get(step, 0.6) if kind == "Counting2" else 0.7


def test_a_fall_is_reported_with_the_best_validation() -> None:
    (fall,) = all_falls(run(forgets_counting))
    assert (fall.stage, fall.kind, fall.best_step, fall.step) == ("counting", "Counting2", 10, 12)
    assert fall.best == pytest.approx(0.9) and fall.accuracy == pytest.approx(0.6)
    assert 0 < fall.low < 0.3 < fall.high < 0.6
    assert str(fall).startswith(
        "Counting2 of stage counting fell on held-out maps from 90% after step 10 to 60% after "
        "step 12: by 30 points, 99% interval "
    )


def test_what_the_start_knew_can_be_forgotten() -> None:
    monitor = ForgettingMonitor()
    monitor.validated(0, validate(0, lambda kind, step: 0.9))
    for step in range(1, 13):
        monitor.trained(step, train(step))
    monitor.validated(12, validate(12, lambda kind, step: 0.6))
    assert [(fall.kind, fall.best_step) for fall in monitor.falls()] == [
        ("TorF1", 0),
        ("Counting2", 0),
    ]


def test_a_fall_within_its_own_stage_is_not_forgetting() -> None:
    assert not list(
        all_falls(run(lambda kind, step: 0.9 if step < 12 else 0.4 + 0.5 * (kind != "planning")))
    )


def test_a_small_fall_is_not_reported() -> None:
    assert not all_falls(run(lambda kind, step: 0.8 if step < 12 else 0.72))


def test_replayed_rows_do_not_keep_a_stage_alive() -> None:
    falls = all_falls(run(lambda kind, step: 0.9 if step < 12 else 0.3))
    assert [fall.kind for fall in falls] == ["TorF1", "Counting2"]


def test_noise_rarely_warns() -> None:
    warned = [bool(all_falls(run(lambda kind, step: 0.5, seed, True))) for seed in range(15)]
    assert sum(warned) <= 2


def test_a_resumed_run_knows_the_validations_before() -> None:
    entries = list(run(forgets_counting))
    last = max(i for i, entry in enumerate(entries) if entry.part == "train")
    monitor = ForgettingMonitor(entries[:last])
    monitor.trained(12, entries[last].groups)
    assert not monitor.falls()
    assert monitor.validated(12, entries[last + 1].groups) == 70
    assert monitor.validated(12, entries[last + 2].groups) == 180
    (fall,) = monitor.falls()
    assert isinstance(fall, Fall) and fall.step == 12
    monitor.trained(10, entries[last].groups)
    assert not monitor.falls(), "validations of a later attempt are dropped"


def test_questions_of_one_map_count_as_correlated() -> None:
    values = [float(i < 24) for i in range(48)]
    together = interval_of_mean(values, [f"{i // 12}" for i in range(48)])
    apart = interval_of_mean(values, [f"{i}" for i in range(48)])
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])
    assert interval_of_mean(values, [""] * 48) == pytest.approx(apart)
    wider = interval_of_mean(values, [f"{i}" for i in range(48)], comparisons=10)
    assert wider[0] < apart[0] and wider[1] > apart[1]
