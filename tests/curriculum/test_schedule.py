"""Training order: every row once per epoch of a stage, full batches, a function of the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardmap_verl.curriculum.schedule import (
    RowStream,
    Stage,
    build_schedule,
    draws,
    pass_order,
)
from rewardmap_verl.errors import ConfigError


def plain_stage(name: str, rows: range, **options: int) -> Stage:
    return Stage(name, (RowStream("main", tuple(rows)),), **options)


@st.composite
def curricula(draw: st.DrawFn) -> tuple[list[Stage], int, int]:
    """Stages over disjoint rows, a seed and a batch size that each stage can fill."""
    batch_size = draw(st.integers(1, 7))
    stages, first = [], 0
    for index in range(draw(st.integers(1, 4))):
        count = draw(st.integers(batch_size, 40))
        epochs = draw(st.integers(1, 3))
        stages.append(plain_stage(f"s{index}", range(first, first + count), epochs=epochs))
        first += count
    return stages, draw(st.integers()), batch_size


@given(curricula())
def test_every_row_is_due_once_per_stage_epoch(curriculum: tuple[list[Stage], int, int]) -> None:
    stages, seed, batch_size = curriculum
    schedule = build_schedule(stages, seed, batch_size)
    due = Counter((slot.stage, slot.epoch, slot.row) for slot in schedule.slots if not slot.repeat)
    wanted = Counter(
        (index, epoch, row)
        for index, stage in enumerate(stages)
        for epoch in range(stage.epochs)
        for row in stage.streams[0].rows
    )
    assert due == wanted


@given(curricula())
def test_stages_are_full_batches_in_order(curriculum: tuple[list[Stage], int, int]) -> None:
    stages, seed, batch_size = curriculum
    schedule = build_schedule(stages, seed, batch_size)
    batches = [
        schedule.slots[start : start + batch_size]
        for start in range(0, len(schedule.slots), batch_size)
    ]
    assert all(len(batch) == batch_size for batch in batches)
    assert all(len({slot.stage for slot in batch}) == 1 for batch in batches)
    order = [batch[0].stage for batch in batches]
    assert order == sorted(order)
    assert schedule.steps == len(batches)


@given(curricula())
def test_a_batch_repeats_no_row_that_it_has(curriculum: tuple[list[Stage], int, int]) -> None:
    stages, seed, batch_size = curriculum
    schedule = build_schedule(stages, seed, batch_size)
    for start in range(0, len(schedule.slots), batch_size):
        batch = schedule.slots[start : start + batch_size]
        repeats = [slot.row for slot in batch if slot.repeat]
        if repeats:
            assert len({slot.row for slot in batch}) >= len(
                {s.row for s in batch if not s.repeat}
            ) + len(set(repeats))
    filled = [slot for slot in schedule.slots if slot.repeat]
    assert len(filled) < batch_size * len(stages)
    for slot in filled:
        assert slot.row in stages[slot.stage].streams[0].rows


@given(curricula())
def test_spans_tile_the_schedule(curriculum: tuple[list[Stage], int, int]) -> None:
    stages, seed, batch_size = curriculum
    schedule = build_schedule(stages, seed, batch_size)
    assert [span.stage for span in schedule.spans] == [stage.name for stage in stages]
    assert schedule.spans[0].first_step == 1
    assert schedule.spans[-1].last_step == schedule.steps
    for before, after in zip(schedule.spans, schedule.spans[1:], strict=False):
        assert after.first_step == before.last_step + 1
    assert [span.rows for span in schedule.spans] == [len(s.streams[0].rows) for s in stages]


def test_the_seed_the_stage_and_the_epoch_each_change_the_order() -> None:
    stream = RowStream("main", tuple(range(50)))
    base = pass_order(stream, "counting", 1, 0)
    assert base == pass_order(stream, "counting", 1, 0)
    others = [
        pass_order(stream, "counting", 2, 0),
        pass_order(stream, "planning", 1, 0),
        pass_order(stream, "counting", 1, 1),
    ]
    assert all(sorted(other) == list(range(50)) and other != base for other in others)


def test_a_stage_does_not_depend_on_the_stages_before_it() -> None:
    first, second = plain_stage("a", range(10)), plain_stage("b", range(10, 30))
    alone = [slot.row for slot in build_schedule([second], 3, 4).slots]
    after = [slot.row for slot in build_schedule([first, second], 3, 4).slots if slot.stage == 1]
    assert alone == after


def test_the_order_is_the_same_in_every_process() -> None:
    program = (
        "from rewardmap_verl.curriculum.schedule import RowStream, pass_order;"
        "print(pass_order(RowStream('main', tuple(range(20))), 'counting', 7, 2))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {f"{pass_order(RowStream('main', tuple(range(20))), 'counting', 7, 2)}\n"}


def test_the_order_of_a_known_seed_never_changes() -> None:
    """Checkpoints depend on a released order: increment ORDER_VERSION if it changes."""
    stream = RowStream("main", tuple(range(10)))
    assert pass_order(stream, "judgment", 1, 0) == [7, 5, 3, 1, 0, 9, 8, 6, 2, 4]


def test_a_length_in_draws_uses_the_same_order() -> None:
    whole = build_schedule([plain_stage("a", range(20), epochs=2)], 1, 4)
    part = build_schedule([plain_stage("a", range(20), length=12)], 1, 4)
    assert part.slots == whole.slots[:12]
    longer = build_schedule([plain_stage("a", range(20), length=40)], 1, 4)
    assert longer.slots == whole.slots
    uneven = build_schedule([plain_stage("a", range(20), length=10)], 1, 4)
    assert [slot.row for slot in uneven.slots] == [slot.row for slot in part.slots]
    assert [slot.repeat for slot in uneven.slots] == [False] * 10 + [True] * 2


def test_a_stage_shorter_than_a_batch_is_refused() -> None:
    stages = [plain_stage("a", range(8)), plain_stage("tiny", range(3))]
    with pytest.raises(ConfigError, match=r"stages\[1\] \(tiny\).*3 rows.*batch of 4"):
        build_schedule(stages, 1, 4)


@given(st.lists(st.sampled_from([1.0, 2.0, 0.5, 3.0]), min_size=1, max_size=3), st.integers(1, 60))
def test_every_prefix_of_a_mixture_has_its_shares(weights: list[float], length: int) -> None:
    streams = tuple(
        RowStream(f"c{i}", tuple(range(10 * i, 10 * i + 7)), weight)
        for i, weight in enumerate(weights)
    )
    taken = Counter(draw.stream for draw in islice(draws(Stage("mix", streams), 1), length))
    for index, weight in enumerate(weights):
        assert abs(taken[index] - length * weight / sum(weights)) <= 1.0 + 1e-9


def test_replayed_rows_do_not_lengthen_a_stage() -> None:
    main = RowStream("main", tuple(range(18)), weight=0.9)
    replay = RowStream("replay", tuple(range(100, 200)), weight=0.1, replay=True)
    schedule = build_schedule([Stage("planning", (main, replay))], 1, 4)
    due = [slot for slot in schedule.slots if not slot.repeat]
    assert Counter(slot.row for slot in due if slot.stream == 0) == Counter(range(18))
    assert sum(slot.stream == 1 for slot in due) in (1, 2)
