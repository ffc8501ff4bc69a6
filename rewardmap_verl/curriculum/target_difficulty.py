"""Training order near a target difficulty, which follows the accuracy (AdaRFT, arXiv 2504.05520).

After every step the target difficulty T becomes ``clip(T + step · tanh(sensitivity · (accuracy −
success)), 0, 1)``, and the next batch has the rows whose difficulty is nearest to T. Rows of equal
difficulty take turns: those that were trained least come first, in an order that depends on the
seed. The paper estimates difficulties with another model; here they follow from the stage of the
row, the difficulty of its map and its transfers.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rewardmap_verl.curriculum.config import TargetConfig
from rewardmap_verl.curriculum.groups import Group
from rewardmap_verl.curriculum.schedule import Schedule, Slot
from rewardmap_verl.curriculum.stage_rows import Columns
from rewardmap_verl.errors import ConfigError

__all__ = ["TargetOrder", "difficulties"]

LEVELS = ("easy", "middle", "hard")
MOST_TRANSFERS = 2
"""More transfers count as two."""


def difficulties(plan: Schedule, columns: Columns) -> dict[int, float]:
    """Return the difficulty of every row of a curriculum, from 0 (easiest) to 1.

    A row of a later stage is harder than every row of an earlier one. Within a stage, difficulty
    rises with the difficulty of the map and the number of transfers, in equal steps.
    """
    most = len(LEVELS) - 1 + MOST_TRANSFERS
    ranks: dict[int, float] = {}
    for number, stage in enumerate(plan.stages):
        for row in (row for stream in stage.streams if not stream.replay for row in stream.rows):
            level = str(columns["difficulty_city"][row])
            transfers = columns["question_transfer_count"][row]
            within = LEVELS.index(level) if level in LEVELS else 0
            within += min(transfers, MOST_TRANSFERS) if isinstance(transfers, int) else 0
            ranks.setdefault(row, number + within / (most + 1))
    low, high = min(ranks.values()), max(ranks.values())
    return {row: (rank - low) / (high - low or 1.0) for row, rank in ranks.items()}


class TargetOrder:
    """Order of slots, one training step at a time, near the target difficulty.

    Args:
        settings: Settings of the order.
        seed: Seed of the order of rows of equal difficulty.
        plan: The stages; their number of steps is kept.
        difficulty: Difficulty of every row, from ``difficulties``.
    """

    def __init__(
        self, settings: TargetConfig, seed: int, plan: Schedule, difficulty: Mapping[int, float]
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._difficulty = difficulty
        self._turn = {row: random.Random(f"{seed}/target/{row}").random() for row in difficulty}
        self._place = _places(plan)
        self._target = settings.start
        self._trained: dict[int, int] = {}  # row → number of steps that trained it
        self._step = 0  # latest step whose slots were requested
        self._observed = 0  # latest step whose scores are known
        self._slots: tuple[Slot, ...] = ()

    @property
    def target(self) -> float:
        """The target difficulty of the next step."""
        return self._target

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
        """Move the target by the accuracy of a training step."""
        if step <= self._observed:
            return
        self._observed = step
        found = [group.accuracy for group in groups if group.accuracy is not None]
        if found:
            apart = fmean(found) - self._settings.success
            change = self._settings.step * math.tanh(self._settings.sensitivity * apart)
            self._target = min(max(self._target + change, 0.0), 1.0)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next steps depend on, as plain data."""
        return {
            "step": self._step,
            "observed": self._observed,
            "target": self._target,
            "trained": {str(row): count for row, count in self._trained.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a ``state_dict``."""
        self._step, self._observed = state["step"], state["observed"]
        self._target = state["target"]
        self._trained = {int(row): count for row, count in state["trained"].items()}

    def _begin(self, step: int) -> None:
        if step != self._step + 1 or self._observed != self._step:
            raise ConfigError(
                "trainer.v1.sampler.custom_sampler",
                found=f"step {step} was requested; scores are known up to step {self._observed}",
                hint="This curriculum depends on the scores of each step. Use the sampler "
                "RewardMapReplayBuffer, and read rows one step at a time.",
            )
        ordered = sorted(self._difficulty, key=self._priority)
        rows = [ordered[i % len(ordered)] for i in range(self._plan.batch_size)]
        self._slots = tuple(
            Slot(row, *self._place[row], epoch=self._trained.get(row, 0), repeat=False)
            for row in rows
        )
        for row in rows:
            self._trained[row] = self._trained.get(row, 0) + 1
        self._step = step

    def _priority(self, row: int) -> tuple[float, int, float, int]:
        distance = round(abs(self._difficulty[row] - self._target), 9)
        return distance, self._trained.get(row, 0), self._turn[row], row


def _places(plan: Schedule) -> dict[int, tuple[int, int]]:
    """Return stage and stream of every row; the first stage that trains it counts."""
    places: dict[int, tuple[int, int]] = {}
    for number, stage in enumerate(plan.stages):
        for index, stream in enumerate(stage.streams):
            for row in stream.rows if not stream.replay else ():
                places.setdefault(row, (number, index))
    return places
