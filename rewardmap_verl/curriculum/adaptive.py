"""A training order that depends on what the model answers, one step at a time.

The run keeps the number of steps that its stages have by plan, so learning-rate schedules and
progress bars stay true: what early promotion saves goes to the last stage, what falling back costs
is taken from it. Everything that the order of the next step depends on is in :meth:`state_dict`,
which is small, and goes into the checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Any

from rewardmap_verl.curriculum.config import CurriculumConfig, StageConfig
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.promotion import Progress, StageRule, after_step
from rewardmap_verl.curriculum.schedule import Draw, Schedule, Slot, draws
from rewardmap_verl.errors import ConfigError

__all__ = ["AdaptiveOrder"]

logger = logging.getLogger(__name__)

RIGHT = 1.0  # accuracy of a right answer


class AdaptiveOrder:
    """Hands out the slots of one training step after the other, and hears what was answered."""

    def __init__(self, settings: CurriculumConfig, plan: Schedule) -> None:
        self._stages = settings.stages
        self._plan = plan
        self._skip_solved = settings.skip_solved
        self._seed = settings.seed
        self._rules = [
            StageRule(span.steps, stage.promote, stage.demote)
            for span, stage in zip(plan.spans, settings.stages, strict=True)
        ]
        self._owner = stage_of_each_type(settings.stages)
        self._progress = Progress()
        self._taken = [0] * len(plan.stages)  # draws of each stage so far, those passed over too
        self._solved: dict[int, int] = {}  # row → its latest groups in a row answered right
        self._step = 0  # the step that was handed out last
        self._observed = 0  # the step whose answers are known
        self._slots: tuple[Slot, ...] = ()
        self._sources: dict[int, Iterator[Draw]] = {}

    def slot(self, item: int) -> Slot:
        """The slot at a position of the training order, of the current step or the next.

        Raises:
            ConfigError: The answers of the step before have not been heard.
        """
        step, place = divmod(item, self._plan.batch_size)
        if step + 1 != self._step:
            self._begin(step + 1)
        return self._slots[place]

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        """Hear what was answered in a training step."""
        if step <= self._observed:
            return
        for group in groups:
            self._solved[group.row] = self._solved.get(group.row, 0) + 1 if is_solved(group) else 0
        before = self._progress
        self._progress = after_step(before, self._figures(groups), self._rules)
        self._observed = step
        if self._progress.stage != before.stage:
            names = [stage.name for stage in self._stages]
            logger.warning(
                "curriculum: stage %s → %s after step %d",
                names[before.stage],
                names[self._progress.stage],
                step,
            )

    def state_dict(self) -> dict[str, Any]:
        """All that the following steps depend on, as plain data."""
        return {
            "step": self._step,
            "observed": self._observed,
            "taken": list(self._taken),
            "solved": {str(row): count for row, count in self._solved.items() if count},
            "progress": self._progress.as_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self._step = state["step"]
        self._observed = state["observed"]
        self._taken = list(state["taken"])
        self._solved = {int(row): count for row, count in state["solved"].items()}
        self._progress = Progress.from_json(state["progress"])
        self._sources.clear()

    def _begin(self, step: int) -> None:
        if step != self._step + 1 or self._observed != self._step:
            raise ConfigError(
                "trainer.v1.sampler.custom_sampler",
                found=f"step {step} is asked for; the answers of step {self._observed} are known",
                hint="This curriculum depends on answers. They are heard where the sampler is "
                "RewardMapReplayBuffer and rows are read one step at a time.",
            )
        stage = self._progress.stage
        self._slots = tuple(
            Slot(draw.row, stage, draw.stream, draw.epoch, repeat=False)
            for draw in self._next_draws(stage)
        )
        self._step = step

    def _next_draws(self, stage: int) -> list[Draw]:
        """The next rows of a stage, without those that the model always gets right."""
        source = self._source(stage)
        solved = self._rows_passed_over(stage)
        chosen: list[Draw] = []
        while len(chosen) < self._plan.batch_size:
            draw = next(source)
            self._taken[stage] += 1
            if draw.row not in solved:
                chosen.append(draw)
        return chosen

    def _rows_passed_over(self, stage: int) -> frozenset[int]:
        """Solved rows of a stage; none when less than a batch would be left to train."""
        if self._skip_solved is None:
            return frozenset()
        rows = {row for stream in self._plan.stages[stage].streams for row in stream.rows}
        solved = {row for row in rows if self._solved.get(row, 0) >= self._skip_solved}
        enough = len(rows) - len(solved) >= self._plan.batch_size
        return frozenset(solved) if enough else frozenset()

    def _source(self, stage: int) -> Iterator[Draw]:
        if stage not in self._sources:
            endless = draws(self._plan.stages[stage], self._seed)
            self._sources[stage] = islice(endless, self._taken[stage], None)
        return self._sources[stage]

    def _figures(self, groups: Sequence[Group]) -> dict[int, float]:
        """By stage, the mean figure of the answers to its types."""
        current = self._progress.stage
        promote = self._stages[current].promote
        values: dict[int, list[float]] = {}
        for group in groups:
            owner = current if group.kind in main_types(self._stages[current]) else None
            stage = self._owner.get(group.kind) if owner is None else owner
            if stage is not None:
                name = promote.figure if promote and stage == current else "acc"
                scores = [score for score in group.scores.get(name, ()) if score is not None]
                values.setdefault(stage, []).extend(scores)
        return {stage: fmean(scores) for stage, scores in values.items() if scores}


def main_types(stage: StageConfig) -> frozenset[str]:
    """The question types that a stage is about, without those that it replays."""
    return frozenset(name for part in stage.parts if not part.replay for name in part.types)


def stage_of_each_type(stages: Sequence[StageConfig]) -> dict[str, int]:
    """For each question type, the first stage that is about it."""
    owner: dict[str, int] = {}
    for index, stage in enumerate(stages):
        for name in main_types(stage):
            owner.setdefault(name, index)
    return owner


def is_solved(group: Group) -> bool:
    """Whether every answer of a group is right."""
    answers = group.scores.get("acc", ())
    return bool(answers) and all(answer == RIGHT for answer in answers)
