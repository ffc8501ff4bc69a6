"""Training order of a curriculum: a pure function of stages, seed and batch size.

A stage draws rows from one or more endless streams; each stream reshuffles its rows for every pass.
The schedule takes as many draws as the length of the stage and fills the last batch with the next
draws, so that each stage is an integer number of batches::

    one stage of 5 rows, one epoch, batches of 2      →  [3 0] [4 1] [2 3*]      * repeat

A repeat is a row that the stage has already trained. It is trained like any other and marked, so
that metrics of the stage can exclude it. Apart from repeats, a stage of ``n`` epochs trains every
row exactly ``n`` times.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from rewardmap_verl.errors import ConfigError

__all__ = [
    "Draw",
    "RowStream",
    "Schedule",
    "Slot",
    "Span",
    "Stage",
    "build_schedule",
    "draws",
    "pass_order",
]

ORDER_VERSION = 2
"""Incremented when the same settings give another order or another saved state, so that no run
resumes across the change."""


@dataclass(frozen=True, slots=True)
class RowStream:
    """Rows from which a stage draws, each once per pass."""

    name: str
    rows: tuple[int, ...]  # row numbers in the training data, ascending
    weight: float = 1.0  # share of the draws relative to the other streams; > 0
    replay: bool = False  # replayed rows do not count for the epochs of the stage


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the curriculum: its streams and its length.

    The length is ``length`` draws, or ``epochs`` passes over every stream without replay.
    """

    name: str
    streams: tuple[RowStream, ...]
    epochs: int = 1
    length: int | None = None  # in draws; None to count epochs


@dataclass(frozen=True, slots=True)
class Draw:
    """One row drawn from a stream."""

    row: int
    stream: int  # index into Stage.streams
    epoch: int  # pass over that stream, from 0


@dataclass(frozen=True, slots=True)
class Slot:
    """One position in the training order."""

    row: int
    stage: int  # index into Schedule.stages
    stream: int
    epoch: int
    repeat: bool  # fills the last batch of the stage


@dataclass(frozen=True, slots=True)
class Span:
    """Range of a stage in the training order. Steps start at 1, as in verl."""

    stage: str
    first_step: int
    last_step: int
    rows: int  # distinct rows
    slots: int  # positions, including repeats
    repeats: int

    @property
    def steps(self) -> int:
        """Number of batches."""
        return self.last_step - self.first_step + 1


@dataclass(frozen=True)
class Schedule:
    """The complete training order: the slots of all steps in sequence."""

    stages: tuple[Stage, ...]
    slots: tuple[Slot, ...]
    batch_size: int

    @property
    def steps(self) -> int:
        """Number of batches of the curriculum."""
        return len(self.slots) // self.batch_size

    def rows_by_step(self) -> dict[int, list[int]]:
        """Return the row numbers that each step trains; steps start at 1."""
        size = self.batch_size
        return {
            step: [slot.row for slot in self.slots[(step - 1) * size : step * size]]
            for step in range(1, self.steps + 1)
        }

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """Range of each stage."""
        return tuple(_spans(self))


def pass_order(stream: RowStream, stage: str, seed: int, epoch: int) -> list[int]:
    """Return the rows of one pass over a stream; depends only on (seed, stage, stream, epoch)."""
    order = list(stream.rows)
    random.Random(f"{seed}/{stage}/{stream.name}/{epoch}").shuffle(order)
    return order


def draws(stage: Stage, seed: int) -> Iterator[Draw]:
    """Yield the draws of a stage, without end.

    Streams alternate in proportion to their weights. The k-th draw of a stream with share s is
    available after (k-1)/s draws and due after k/s; of the available ones, the one due first is
    taken. Every prefix of the stage therefore has the requested mixture to within one row (fair
    scheduling: Baruah et al., 1996, "Proportionate progress").
    """
    total = sum(stream.weight for stream in stage.streams)
    shares = [stream.weight / total for stream in stage.streams]
    taken = [0] * len(shares)
    endless = [_passes(stage, seed, index) for index in range(len(shares))]
    while True:
        index = _next_stream(shares, taken)
        taken[index] += 1
        yield next(endless[index])


def _next_stream(shares: Sequence[float], taken: Sequence[int]) -> int:
    drawn = sum(taken) + 1
    ready = [i for i, share in enumerate(shares) if taken[i] < drawn * share]
    return min(ready, key=lambda i: ((taken[i] + 1) / shares[i], i))


def build_schedule(stages: Sequence[Stage], seed: int, batch_size: int) -> Schedule:
    """Arrange the stages in sequence, each as an integer number of batches.

    Args:
        stages: Stages in training order, none empty.
        seed: Seed for shuffling inside the stages.
        batch_size: Rows per training step (prompts, not rollouts), at least 1.

    Raises:
        ConfigError: A stage has fewer rows to train than one batch.
    """
    slots: list[Slot] = []
    for index, stage in enumerate(stages):
        slots.extend(_stage_slots(stage, index, seed, batch_size))
    return Schedule(tuple(stages), tuple(slots), batch_size)


def _passes(stage: Stage, seed: int, index: int) -> Iterator[Draw]:
    epoch = 0
    while True:
        for row in pass_order(stage.streams[index], stage.name, seed, epoch):
            yield Draw(row, index, epoch)
        epoch += 1


def _stage_slots(stage: Stage, index: int, seed: int, batch_size: int) -> list[Slot]:
    source = draws(stage, seed)
    due = list(_due_draws(stage, source))
    if len(due) < batch_size:
        raise ConfigError(
            f"data.curriculum.stages[{index}] ({stage.name})",
            found=f"{len(due)} rows to train, fewer than one batch of {batch_size}",
            hint="Give the stage more rows or epochs, merge it with another one, "
            "or lower data.train_batch_size.",
        )
    repeats = _filling(due, source, batch_size)
    return [
        Slot(draw.row, index, draw.stream, draw.epoch, repeat)
        for chosen, repeat in ((due, False), (repeats, True))
        for draw in chosen
    ]


def _due_draws(stage: Stage, source: Iterator[Draw]) -> Iterator[Draw]:
    """Yield the draws for the length of the stage."""
    if stage.length is not None:
        yield from islice(source, stage.length)
        return
    left = {
        i: len(stream.rows) * stage.epochs
        for i, stream in enumerate(stage.streams)
        if not stream.replay
    }
    while any(count > 0 for count in left.values()):
        draw = next(source)
        if draw.stream in left:
            left[draw.stream] -= 1
        yield draw


def _filling(due: Sequence[Draw], source: Iterator[Draw], batch_size: int) -> list[Draw]:
    """Return draws to fill the last batch, preferring rows that are not in it yet."""
    missing = -len(due) % batch_size
    if not missing:
        return []
    present = {draw.row for draw in due[-(len(due) % batch_size) :]}
    upcoming = list(islice(source, batch_size))
    return sorted(upcoming, key=lambda draw: draw.row in present)[:missing]


def _spans(schedule: Schedule) -> Iterator[Span]:
    start = 0
    for index, stage in enumerate(schedule.stages):
        slots = [slot for slot in schedule.slots if slot.stage == index]
        stop = start + len(slots)
        yield Span(
            stage=stage.name,
            first_step=start // schedule.batch_size + 1,
            last_step=stop // schedule.batch_size,
            rows=len({slot.row for slot in slots}),
            slots=len(slots),
            repeats=sum(slot.repeat for slot in slots),
        )
        start = stop
