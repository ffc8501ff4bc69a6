"""Training order that depends on the model's answers, chosen one step at a time.

The run keeps the total number of planned steps, so learning-rate schedules and progress bars stay
correct: steps saved by early promotion go to the last stage, and steps spent on a fallback are
taken from it. ``AdaptiveOrder.state_dict`` holds everything that the next step depends on. It
is small and saved in the checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from statistics import fmean
from typing import Any

from rewardmap_verl.curriculum.config import CurriculumConfig, StageConfig
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.promotion import CurriculumState, StageRule, after_step
from rewardmap_verl.curriculum.schedule import Draw, Schedule, Slot, draws
from rewardmap_verl.errors import ConfigError

__all__ = ["AdaptiveOrder"]

logger = logging.getLogger(__name__)

CORRECT = 1.0  # accuracy of a correct answer


class AdaptiveOrder:
    """Order of slots, one training step at a time, updated with the scores of each step."""

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
        self._state = CurriculumState()
        self._taken = [0] * len(plan.stages)  # draws of each stage so far, including skipped ones
        self._solved: dict[int, int] = {}  # row → its latest consecutive solved groups
        self._step = 0  # latest step whose slots were requested
        self._observed = 0  # latest step whose scores are known
        self._slots: tuple[Slot, ...] = ()
        self._sources: dict[int, Iterator[Draw]] = {}

    def slot(self, item: int) -> Slot:
        """Return the slot at a position in the current or the next step.

        Raises:
            ConfigError: The scores of the previous step are not known yet.
        """
        step, position = divmod(item, self._plan.batch_size)
        if step + 1 != self._step:
            self._begin(step + 1)
        return self._slots[position]

    def observe(self, step: int, groups: Sequence[Group]) -> None:
        """Update the order with the scores of a training step."""
        if step <= self._observed:
            return
        for group in groups:
            self._solved[group.row] = self._solved.get(group.row, 0) + 1 if is_solved(group) else 0
        before = self._state
        self._state = after_step(before, self._metrics(groups), self._rules)
        self._observed = step
        if self._state.stage != before.stage:
            names = [stage.name for stage in self._stages]
            logger.warning(
                "curriculum: stage %s → %s after step %d",
                names[before.stage],
                names[self._state.stage],
                step,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next steps depend on, as plain data."""
        return {
            "step": self._step,
            "observed": self._observed,
            "taken": list(self._taken),
            "solved": {str(row): count for row, count in self._solved.items() if count},
            "state": self._state.as_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a ``state_dict``."""
        self._step = state["step"]
        self._observed = state["observed"]
        self._taken = list(state["taken"])
        self._solved = {int(row): count for row, count in state["solved"].items()}
        self._state = CurriculumState.from_json(state["state"])
        self._sources.clear()

    def _begin(self, step: int) -> None:
        if step != self._step + 1 or self._observed != self._step:
            raise ConfigError(
                "trainer.v1.sampler.custom_sampler",
                found=f"step {step} was requested; scores are known up to step {self._observed}",
                hint="This curriculum depends on the scores of each step. Use the sampler "
                "RewardMapReplayBuffer, and read rows one step at a time.",
            )
        stage = self._state.stage
        self._slots = tuple(
            Slot(draw.row, stage, draw.stream, draw.epoch, repeat=False)
            for draw in self._next_draws(stage)
        )
        self._step = step

    def _next_draws(self, stage: int) -> list[Draw]:
        """Return the next draws of a stage without solved rows."""
        source = self._source(stage)
        solved = self._skipped_rows(stage)
        chosen: list[Draw] = []
        while len(chosen) < self._plan.batch_size:
            draw = next(source)
            self._taken[stage] += 1
            if draw.row not in solved:
                chosen.append(draw)
        return chosen

    def _skipped_rows(self, stage: int) -> frozenset[int]:
        """Return the solved rows of a stage, or none if less than a batch would remain."""
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

    def _metrics(self, groups: Sequence[Group]) -> dict[int, float]:
        """Return, by stage, the mean metric of the rollouts for its types."""
        current = self._state.stage
        promote = self._stages[current].promote
        values: dict[int, list[float]] = {}
        for group in groups:
            owner = current if group.kind in main_types(self._stages[current]) else None
            stage = self._owner.get(group.kind) if owner is None else owner
            if stage is not None:
                name = promote.metric if promote and stage == current else "acc"
                scores = [score for score in group.scores.get(name, ()) if score is not None]
                values.setdefault(stage, []).extend(scores)
        return {stage: fmean(scores) for stage, scores in values.items() if scores}


def main_types(stage: StageConfig) -> frozenset[str]:
    """Return the question types of a stage without those that it replays."""
    return frozenset(name for part in stage.parts if not part.replay for name in part.types)


def stage_of_each_type(stages: Sequence[StageConfig]) -> dict[str, int]:
    """Return, for each question type, the first stage that trains it without replay."""
    owner: dict[str, int] = {}
    for index, stage in enumerate(stages):
        for name in main_types(stage):
            owner.setdefault(name, index)
    return owner


def is_solved(group: Group) -> bool:
    """Return whether every rollout of a group is correct."""
    answers = group.scores.get("acc", ())
    return bool(answers) and all(answer == CORRECT for answer in answers)
