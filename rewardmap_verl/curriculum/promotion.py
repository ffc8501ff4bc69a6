"""When a stage ends, by evidence: pure functions from what was seen to where the curriculum stands.

A stage is left when a figure of its own question types (accuracy or reward, averaged over a window
of steps) reaches a value, or has stopped rising. The condition must hold for some steps in a row,
so that one lucky batch does not decide. A stage has a least number of steps; its planned length is
the most. A later stage may fall back to an earlier one whose types, replayed beside its own, have
been lost; when they are back, it goes on where it was.

Only training steps count as evidence. A validation runs after the checkpoint of its step, so a
resumed run would not have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import fmean
from typing import Any

from rewardmap_verl.curriculum.config import DemoteConfig, PromoteConfig

__all__ = ["Progress", "StageRule", "after_step"]


@dataclass(frozen=True, slots=True)
class StageRule:
    """How one stage ends."""

    planned_steps: int  # most steps of a visit; the last stage goes on to the end of the run
    promote: PromoteConfig | None = None
    demote: DemoteConfig | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a curriculum stands after some training steps, and the evidence that it keeps."""

    stage: int = 0
    steps: int = 0
    """Steps trained in this stage since it was entered."""
    figures: tuple[float, ...] = ()
    """The stage's figure at its latest steps, newest last."""
    held: int = 0
    """Steps in a row for which the condition of promotion has held."""
    earlier: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """The same for earlier stages whose types are replayed here."""
    lost: Mapping[int, int] = field(default_factory=dict)
    """For earlier stages, steps in a row for which their figure has been too low."""
    paused: tuple[int, int] | None = None
    """After falling back: the stage to return to, and its steps so far."""

    def as_json(self) -> dict[str, Any]:
        """A plain mapping for the checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Progress:
        """Undo :meth:`as_json`, also after a trip through JSON, which knows no tuples."""
        paused = data["paused"]
        return cls(
            stage=data["stage"],
            steps=data["steps"],
            figures=tuple(data["figures"]),
            held=data["held"],
            earlier={int(stage): tuple(values) for stage, values in data["earlier"].items()},
            lost={int(stage): count for stage, count in data["lost"].items()},
            paused=None if paused is None else (paused[0], paused[1]),
        )


def after_step(
    progress: Progress, figures: Mapping[int, float], rules: Sequence[StageRule]
) -> Progress:
    """Where the curriculum stands after one more step.

    Args:
        progress: Where it stood.
        figures: By stage, the mean figure of the answers to that stage's question types in this
            step; a stage of whose types there were none is missing.
        rules: Of every stage.
    """
    seen = _with_evidence(progress, figures, rules[progress.stage])
    fallen = _lost_stage(seen, rules[seen.stage].demote)
    if fallen is not None and seen.paused is None:
        return Progress(stage=fallen, paused=(seen.stage, seen.steps))
    if not _is_over(seen, rules):
        return seen
    if seen.paused is not None:
        stage, steps = seen.paused
        return Progress(stage=stage, steps=steps)
    return Progress(stage=seen.stage + 1)


def _with_evidence(progress: Progress, figures: Mapping[int, float], rule: StageRule) -> Progress:
    own = progress.figures
    if progress.stage in figures and rule.promote is not None:
        own = (*own, figures[progress.stage])[-2 * rule.promote.window :]
    held = progress.held + 1 if _holds(own, rule.promote) else 0
    earlier, lost = dict(progress.earlier), dict(progress.lost)
    for stage, value in figures.items():
        if stage < progress.stage and rule.demote is not None:
            earlier[stage] = (*earlier.get(stage, ()), value)[-rule.demote.window :]
            lost[stage] = lost.get(stage, 0) + 1 if _is_low(earlier[stage], rule.demote) else 0
    return replace(
        progress, steps=progress.steps + 1, figures=own, held=held, earlier=earlier, lost=lost
    )


def _holds(figures: Sequence[float], promote: PromoteConfig | None) -> bool:
    """Whether the figures so far ask for promotion."""
    if promote is None or len(figures) < promote.window:
        return False
    recent = fmean(figures[-promote.window :])
    if promote.reach is not None and recent >= promote.reach:
        return True
    before = figures[-2 * promote.window : -promote.window]
    return (
        promote.plateau is not None
        and len(before) == promote.window
        and recent - fmean(before) < promote.plateau
    )


def _is_low(figures: Sequence[float], demote: DemoteConfig) -> bool:
    return len(figures) == demote.window and fmean(figures) < demote.below


def _lost_stage(progress: Progress, demote: DemoteConfig | None) -> int | None:
    """The earliest stage whose types have been lost for long enough."""
    if demote is None:
        return None
    return min((stage for stage, n in progress.lost.items() if n >= demote.patience), default=None)


def _is_over(progress: Progress, rules: Sequence[StageRule]) -> bool:
    rule = rules[progress.stage]
    if progress.stage == len(rules) - 1:
        return False
    if progress.steps >= rule.planned_steps:
        return True
    promote = rule.promote
    return (
        promote is not None
        and progress.steps >= promote.min_steps
        and progress.held >= promote.patience
    )
