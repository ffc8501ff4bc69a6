"""Held-out accuracy of each question type over a run, as data and as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from rewardmap_verl.curriculum.groups import (
    DIRECT,
    EVERY_TYPE,
    WITH_TRANSFERS,
    Group,
    result_names,
)
from rewardmap_verl.curriculum.record import Entry
from rewardmap_verl.errors import DataError
from rewardmap_verl.evaluation.statistics import Interval, Sample, interval
from rewardmap_verl.preparation.atomic import disk_errors, staging_file
from rewardmap_verl.reports.held_out import validation_rounds

__all__ = ["LearningCurve", "draw_learning_curves", "learning_curves", "visits"]

Visit = tuple[str, int, int]
"""Stage, first step, last step."""

_DRAWS: Final = 2_000
_COLUMNS: Final = 4
_INK, _FAINT, _LINE, _MAJORITY = "#24292f", "#6e7781", "#2a6fdb", "#c2410c"
_OWN, _OTHER = "#dbe7fb", ("#f6f8fa", "#eceff3")
"""Bands of the stages that train a type, and of the others."""
_FORMATS: Final = (".svg", ".png", ".pdf")


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Held-out accuracy of one question type, from 0 to 1."""

    name: str
    """Question type, planning by transfers, or all types."""
    points: tuple[tuple[int, Interval], ...]
    """Steps before each validation, and the accuracy with its 95% interval."""
    stages: frozenset[str]
    """Stages that train the type other than by replay."""
    majority: float | None
    """Accuracy of the most frequent answer of the training split; ``None`` if unknown."""


def learning_curves(
    entries: Sequence[Entry], majority: Mapping[int, float] | None = None
) -> list[LearningCurve]:
    """Return the curves of a run in the order of its stages; all types come last.

    Args:
        entries: The record of the run.
        majority: Whether the majority answer is correct (1 or 0), by row of the validation data.
    """
    trained = _trained_in(entries)
    rounds = validation_rounds(entries)
    last = rounds[max(rounds)] if rounds else {}
    first = {name: number for number, name in enumerate(trained)}
    groups = sorted(last.values(), key=lambda group: first.get(group.kind, len(first)))
    return [
        _curve(name, rounds, majority or {}, trained.get(name, frozenset()))
        for name in result_names(groups)
    ]


def visits(entries: Iterable[Entry]) -> list[Visit]:
    """Return the visited stages in order."""
    trained = sorted(
        (entry.step, entry.groups[0].stage)
        for entry in entries
        if entry.part == "train" and entry.groups
    )
    runs = [(stage, [step for step, _ in run]) for stage, run in groupby(trained, lambda p: p[1])]
    return [(stage, steps[0], steps[-1]) for stage, steps in runs]


def draw_learning_curves(
    curves: Sequence[LearningCurve], stages: Sequence[Visit], path: Path
) -> None:
    """Draw one panel per question type, 900 pixels wide, on white.

    A panel has the accuracy with its 95% interval, the majority answer as a dashed line, and the
    stages as bands; the stages that train the type are blue.

    Args:
        curves: The result of ``learning_curves``.
        stages: The result of ``visits``.
        path: File to write; its extension selects the format (.svg, .png, .pdf).

    Raises:
        DataError: There is no curve, the extension is another one, or the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    if path.suffix.lower() not in _FORMATS:
        raise DataError(path, found=path.suffix, hint=f"Use one of {', '.join(_FORMATS)}.")
    if not any(len(curve.points) > 1 for curve in curves):
        raise DataError(
            path,
            found="fewer than two validations",
            hint="A curve needs a run with validations; set trainer.test_freq.",
        )
    curves = _without_sums(curves)
    rows = -(-len(curves) // _COLUMNS)
    figure = Figure(figsize=(9, 0.55 + 2.05 * rows), facecolor="white", layout="constrained")
    panels: Any = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    for panel, curve in zip(panels.flat, curves, strict=False):
        _draw_panel(panel, curve, stages)
    for panel in panels.flat[len(curves) :]:
        panel.remove()
    figure.supxlabel("training step", fontsize=9, color=_FAINT)
    figure.supylabel("accuracy on held-out maps", fontsize=9, color=_FAINT)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names of a stranger's run may be broken formulas
    with disk_errors(path), staging_file(path) as file:
        figure.savefig(file, dpi=200, format=path.suffix[1:].lower())


def _without_sums(curves: Sequence[LearningCurve]) -> list[LearningCurve]:
    """Leave planning out if it is shown by transfers."""
    names = {curve.name for curve in curves}
    split = {DIRECT, WITH_TRANSFERS} <= names
    return [curve for curve in curves if not (split and curve.name == "planning")]


def _trained_in(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    """Return the stages that train each name other than by replay, in the order of training."""
    found: dict[str, frozenset[str]] = {}
    for entry in entries:
        for group in entry.groups if entry.part == "train" else ():
            if not group.replay:
                for name in group.counted_as:
                    found[name] = found.get(name, frozenset()) | {group.stage}
    found.pop(EVERY_TYPE, None)
    return found


def _curve(
    name: str,
    rounds: Mapping[int, Mapping[int, Group]],
    majority: Mapping[int, float],
    stages: frozenset[str],
) -> LearningCurve:
    points = []
    rows: list[int] = []
    for step, groups in sorted(rounds.items()):
        chosen = {
            row: (group, group.accuracy)
            for row, group in sorted(groups.items())
            if name in group.counted_as
        }
        found = [(g.place or str(row), acc) for row, (g, acc) in chosen.items() if acc is not None]
        if found:
            rows = list(chosen)
            values, places = tuple(acc for _, acc in found), tuple(place for place, _ in found)
            sample = Sample(values, (1.0,) * len(found), places)
            points.append((step, interval(sample, name=name, draws=_DRAWS)))
    known = bool(rows) and majority.keys() >= set(rows)
    level = fmean(majority[row] for row in rows) if known else None
    return LearningCurve(name, tuple(points), stages, level)


def _draw_panel(panel: Any, curve: LearningCurve, stages: Sequence[Visit]) -> None:
    last = max([stages[-1][2] if stages else 1, *(step for step, _ in curve.points)])
    for number, (stage, first, end) in enumerate(stages):
        color = _OWN if stage in curve.stages else _OTHER[number % 2]
        panel.axvspan(first - 1, end, color=color, linewidth=0)
    steps = [step for step, _ in curve.points]
    found = [one for _, one in curve.points]
    panel.fill_between(
        steps, [one.low for one in found], [one.high for one in found], color=_LINE, alpha=0.2, lw=0
    )
    panel.plot(steps, [one.mean for one in found], color=_LINE, lw=1.8, marker="o", ms=3)
    if curve.majority is not None:
        panel.axhline(curve.majority, color=_MAJORITY, lw=1, ls=(0, (4, 3)))
        # Below the axis, the label would cover the steps.
        below = bool(found) and found[-1].mean > curve.majority > 0.05
        panel.annotate(
            f"majority {curve.majority:.0%}", (last, curve.majority), (-2, -9 if below else 2),
            ha="right", textcoords="offset points", fontsize=7.5, color=_MAJORITY,
        )  # fmt: skip
    title = curve.name if curve.name != EVERY_TYPE else "all types"
    panel.set_title(f"{title}  {_change(found)}", fontsize=9.5, color=_INK, loc="left", pad=12)
    _name_stages(panel, curve, stages)
    _style(panel, last)


def _change(found: Sequence[Interval]) -> str:
    if len(found) < 2:
        return f"{found[0].mean:.0%}" if found else ""
    return f"{100 * found[0].mean:.0f} → {found[-1].mean:.0%}"


def _name_stages(panel: Any, curve: LearningCurve, stages: Sequence[Visit]) -> None:
    """Name the stages that train the type above their bands."""
    last = stages[-1][2] if stages else 0
    for stage, first, end in stages:
        if stage in curve.stages:
            late = first > last / 2
            panel.annotate(
                stage, (end if late else first - 1, 1), (0, 2), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right" if late else "left", fontsize=7.5,
                color="#3b5b92", annotation_clip=False,
            )  # fmt: skip


def _style(panel: Any, last: int) -> None:
    panel.set(xlim=(0, last), ylim=(0, 1), yticks=(0, 0.25, 0.5, 0.75, 1))
    panel.set_yticklabels(["0", "", "50%", "", "100%"])
    panel.tick_params(labelsize=8, length=0, colors=_FAINT)
    panel.grid(axis="y", color="white", linewidth=0.8)
    panel.set_axisbelow(True)
    for spine in panel.spines.values():
        spine.set_visible(False)
