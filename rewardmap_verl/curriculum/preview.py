"""Preview of a curriculum: its stages, their mixtures and their first and last steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from rewardmap_verl.curriculum.curriculum_plan import CurriculumPlan
from rewardmap_verl.curriculum.schedule import Slot, Span
from rewardmap_verl.errors import ConfigError
from rewardmap_verl.preparation.atomic import disk_errors, staging_file

__all__ = ["StagePreview", "draw_preview", "preview", "preview_table"]

_PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True, slots=True)
class StagePreview:
    """One stage of the preview."""

    span: Span
    shares: dict[str, float]  # share of each question type in the slots, largest first
    replayed: dict[str, float]  # the same for types that are replayed; both together are 1
    passes: float  # mean number of times that a row is trained
    rollouts: int | None  # per prompt; None for the setting of the run


def preview(plan: CurriculumPlan) -> list[StagePreview]:
    """Return what each stage of a curriculum trains."""
    schedule = plan.schedule
    kinds = plan.columns["type"]
    stages = []
    for index, span in enumerate(schedule.spans):
        first = (span.first_step - 1) * schedule.batch_size
        slots = schedule.slots[first : first + span.slots]
        streams = schedule.stages[index].streams
        again = [slot for slot in slots if streams[slot.stream].replay]
        own = [slot for slot in slots if not streams[slot.stream].replay]
        stages.append(
            StagePreview(
                span=span,
                shares=_shares(own, kinds, span.slots),
                replayed=_shares(again, kinds, span.slots),
                passes=(span.slots - span.repeats) / span.rows,
                rollouts=plan.settings.stages[index].rollouts,
            )
        )
    return stages


def _shares(slots: Sequence[Slot], kinds: Sequence[object], total: int) -> dict[str, float]:
    counts = Counter(str(kinds[slot.row]) for slot in slots)
    return {kind: count / total for kind, count in counts.most_common()}


def preview_table(stages: Sequence[StagePreview], seconds: float | None = None) -> Table:
    """Return the stages as a table for the terminal.

    Args:
        stages: Stages in training order.
        seconds: Seconds per step; without it no times are shown.
    """
    steps = sum(stage.span.steps for stage in stages)
    table = Table(
        title=f"Curriculum: {steps} steps{_hours(steps, seconds)}",
        caption="passes: times that a row is trained. repeats: rows that fill the last batch."
        + ("\n+: replayed from other stages." if any(one.replayed for one in stages) else ""),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("stage")
    titles = ["steps", "from", "to", "rows", "passes", "repeats", "rollouts"]
    for name in [*titles, *(["time"] if seconds else [])]:
        table.add_column(name, justify="right")
    for stage in stages:
        span = stage.span
        table.add_row(
            span.stage,
            str(span.steps),
            str(span.first_step),
            str(span.last_step),
            str(span.rows),
            f"{stage.passes:.3g}",
            str(span.repeats),
            str(stage.rollouts or "–"),
            *([_duration(span.steps * seconds)] if seconds else []),
            style="bold",
        )
        for kind, share in stage.shares.items():
            table.add_row(f"  {kind}  {share:.0%}")
        for kind, share in stage.replayed.items():
            table.add_row(f"+ {kind}  {share:.0%}")
    return table


def draw_preview(plan: CurriculumPlan, path: Path) -> None:
    """Plot the share of each question type per step, with the boundaries of the stages.

    Args:
        plan: The curriculum.
        path: File to write; its extension selects the format (.png, .svg, .pdf).

    Raises:
        ConfigError: The extension is another one.
        DataError: The file cannot be written.
    """
    if path.suffix.lower() not in _PICTURES:
        hint = f"Use one of {', '.join(_PICTURES)}."
        raise ConfigError("--picture", found=path.name, hint=hint)
    from matplotlib.figure import Figure

    kinds = list(dict.fromkeys(map(str, plan.columns["type"])))
    shares = _shares_per_step(plan, kinds)
    borders = [step + 0.5 for step in range(plan.schedule.steps + 1)]
    figure = Figure(figsize=(9, 3), layout="constrained")
    axes: Any = figure.add_subplot()
    axes.stackplot(borders, *([*share, share[-1]] for share in shares), labels=kinds, step="post")
    for span in plan.schedule.spans:
        axes.axvline(span.last_step + 0.5, color="black", linewidth=0.8)
        axes.annotate(
            span.stage,
            ((span.first_step + span.last_step) / 2, 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            fontsize=8,
        )
    axes.set(xlim=(0.5, plan.schedule.steps + 0.5), ylim=(0, 1), xlabel="step", ylabel="share")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    with disk_errors(path), staging_file(path) as file:
        figure.savefig(file, dpi=150, format=path.suffix[1:].lower())


def _shares_per_step(plan: CurriculumPlan, kinds: Sequence[str]) -> list[list[float]]:
    """Return the share of each type in each step."""
    size = plan.schedule.batch_size
    slots = plan.schedule.slots
    steps = [
        Counter(str(plan.columns["type"][slot.row]) for slot in slots[start : start + size])
        for start in range(0, len(slots), size)
    ]
    return [[counts[kind] / size for counts in steps] for kind in kinds]


def _hours(steps: int, seconds: float | None) -> str:
    return f", {_duration(steps * seconds)}" if seconds else ""


def _duration(seconds: float) -> str:
    """Format seconds in a readable unit."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
