"""Promotion and demotion of stages, as pure functions of the observed metrics.

A stage ends early when a metric of its question types (accuracy or reward, averaged over a window
of steps) reaches a threshold or stops rising. The condition must hold for several steps in a row,
so that one lucky batch does not decide. Every stage has a minimum number of steps; its planned
length is the maximum. A later stage can fall back to an earlier stage whose types, replayed beside
its own, have been forgotten. After the earlier stage the paused one resumes where it stopped.

Only training steps count. A validation runs after the checkpoint of its step, so a resumed run
would not have its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

from rewardmap_verl.curriculum.config import DemoteConfig, PromoteConfig

__all__ = ["CurriculumState", "StageRule", "after_step"]


@dataclass(frozen=True, slots=True)
class StageRule:
    """Conditions under which a stage ends."""

    planned_steps: int  # maximum per visit; the last stage continues to the end of the run
    promote: PromoteConfig | None = None
    demote: DemoteConfig | None = None


@dataclass(frozen=True, slots=True)
class CurriculumState:
    """Current stage of a curriculum and the metrics that decide when it ends."""

    stage: int = 0
    steps: int = 0
    """Steps trained since the stage was entered."""
    metrics: tuple[float, ...] = ()
    """Metric of the stage at its latest steps, newest last."""
    held: int = 0
    """Consecutive steps for which the promotion condition has held."""
    earlier: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """The same metric for earlier stages whose types are replayed."""
    lost: Mapping[int, int] = field(default_factory=dict)
    """For earlier stages: consecutive steps for which their metric has been too low."""
    paused: tuple[int, int] | None = None
    """After a fallback: the stage to return to, and its steps so far."""

    def as_json(self) -> dict[str, Any]:
        """Return a plain mapping for the checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CurriculumState:
        """Restore ``as_json``, also after JSON has turned its tuples into lists."""
        paused = data["paused"]
        return cls(
            stage=data["stage"],
            steps=data["steps"],
            metrics=tuple(data["metrics"]),
            held=data["held"],
            earlier={int(stage): tuple(values) for stage, values in data["earlier"].items()},
            lost={int(stage): count for stage, count in data["lost"].items()},
            paused=None if paused is None else (paused[0], paused[1]),
        )


def after_step(
    state: CurriculumState, metrics: Mapping[int, float], rules: Sequence[StageRule]
) -> CurriculumState:
    """Return the state after one more training step.

    Args:
        state: State before the step.
        metrics: By stage, the mean metric of this step's rollouts for the question types of that
            stage. Stages without such rollouts are absent.
        rules: Rule of every stage.
    """
    observed = _with_metrics(state, metrics, rules[state.stage])
    lost = _lost_stage(observed, rules[observed.stage].demote)
    if lost is not None and observed.paused is None:
        return CurriculumState(stage=lost, paused=(observed.stage, observed.steps))
    if not _is_over(observed, rules):
        return observed
    if observed.paused is not None:
        stage, steps = observed.paused
        return CurriculumState(stage=stage, steps=steps)
    return CurriculumState(stage=observed.stage + 1)


def _with_metrics(
    state: CurriculumState, metrics: Mapping[int, float], rule: StageRule
) -> CurriculumState:
    own = state.metrics
    if state.stage in metrics and rule.promote is not None:
        own = (*own, metrics[state.stage])[-2 * rule.promote.window :]
    held = state.held + 1 if _holds(own, rule.promote) else 0
    earlier, lost = dict(state.earlier), dict(state.lost)
    for stage, value in metrics.items():
        if stage < state.stage and rule.demote is not None:
            earlier[stage] = (*earlier.get(stage, ()), value)[-rule.demote.window :]
            lost[stage] = lost.get(stage, 0) + 1 if _is_low(earlier[stage], rule.demote) else 0
    return replace(state, steps=state.steps + 1, metrics=own, held=held, earlier=earlier, lost=lost)


def _holds(metrics: Sequence[float], promote: PromoteConfig | None) -> bool:
    """Return whether the metrics so far meet the promotion condition."""
    if promote is None or len(metrics) < promote.window:
        return False
    recent = fmean(metrics[-promote.window :])
    if promote.reach is not None and recent >= promote.reach:
        return True
    before = metrics[-2 * promote.window : -promote.window]
    return (
        promote.plateau is not None
        and len(before) == promote.window
        and recent - fmean(before) < promote.plateau
    )


def _is_low(metrics: Sequence[float], demote: DemoteConfig) -> bool:
    return len(metrics) == demote.window and fmean(metrics) < demote.below


def _lost_stage(state: CurriculumState, demote: DemoteConfig | None) -> int | None:
    """Return the earliest stage whose metric has been too low for long enough."""
    if demote is None:
        return None
    return min((stage for stage, n in state.lost.items() if n >= demote.patience), default=None)


def _is_over(state: CurriculumState, rules: Sequence[StageRule]) -> bool:
    rule = rules[state.stage]
    if state.stage == len(rules) - 1:
        return False
    if state.steps >= rule.planned_steps:
        return True
    promote = rule.promote
    return (
        promote is not None and state.steps >= promote.min_steps and state.held >= promote.patience
    )
