"""Figures of the study: accuracy, signal and reward over training steps, and gains."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any, Final

from benchmarks.evidence.protocol import Cell
from benchmarks.evidence.result import Result
from benchmarks.evidence.samples import PLANNING, TRIPS, Results, metric_sample
from benchmarks.evidence.when import GAINS, Gains
from rewardmap_verl.curriculum.groups import EVERY_TYPE

__all__ = ["accuracy_figure", "gains_figure", "reward_figure", "signal_figure"]

Points = list[tuple[int, float]]

_COLORS: Final = ("#7b8794", "#2a6fdb", "#e08e0b", "#1b998b", "#d1495b", "#7b4fbf")
_BANDS: Final = ("#f1f3f6", "#dfe4ea")
_SMOOTHING: Final = 20
"""A running mean covers a twentieth of the steps on either side."""


def _mean_over_seeds(runs: Iterable[Points]) -> Points:
    found: dict[int, list[float]] = {}
    for points in runs:
        for step, value in points:
            found.setdefault(step, []).append(value)
    return [(step, fmean(values)) for step, values in sorted(found.items())]


def _smooth(points: Points, radius: int) -> Points:
    return [
        (step, fmean([other for at, other in points if abs(at - step) <= radius]))
        for step, _ in points
    ]


def _held_out(result: Result, metric: str) -> Points:
    """Return (step, mean) of a metric of the held-out questions at every validation."""
    points = []
    for one in result.validations:
        alone = result.model_copy(update={"validations": (one,)})
        sample = metric_sample(alone, Cell(arm=result.arm), metric)
        if sample is not None:
            points.append((one.step, sample.mean))
    return points


def _training_metric(kind: str, metric: str) -> Callable[[Result], Points]:
    def points(result: Result) -> Points:
        return [
            (one.step, one.kinds[kind][metric])
            for one in result.curve
            if metric in one.kinds.get(kind, {})
        ]

    return points


def _canvas(columns: int, rows: int, height: float, sharey: bool = False) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=sharey)


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Any, runs: Sequence[Points], color: str, label: str, marker: str = "") -> None:
    """Draw each seed as a thin line and their mean as a thick one."""
    for points in runs:
        axes.plot(*_xy(points), color=color, linewidth=0.7, alpha=0.35)
    axes.plot(*_xy(_mean_over_seeds(runs)), color=color, linewidth=2, label=label, marker=marker)


def _xy(points: Points) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _colored(results: Results) -> list[tuple[str, str, list[Result]]]:
    return [
        (arm, _COLORS[number % len(_COLORS)], list(seeds.values()))
        for number, (arm, seeds) in enumerate(results.by_arm.items())
    ]


def accuracy_figure(results: Results) -> bytes:
    """Draw held-out accuracy of planning and of all types over training; return PNG bytes."""
    figure, grid = _canvas(2, 1, 4.2)
    titles = ((PLANNING, "Planning, held-out maps"), ("all", "All types, held-out maps"))
    for axes, (name, title) in zip(grid[0], titles, strict=True):
        for arm, color, runs in _colored(results):
            _draw(axes, [_held_out(one, name) for one in runs], color, arm, "o")
        axes.set(title=title, xlabel="step", ylabel="accuracy")
        axes.set_ylim(bottom=0)
    _legend(figure, grid[0][0])
    return _png(figure)


def signal_figure(results: Results) -> bytes:
    """Draw the share of planning groups without signal over the steps; return PNG bytes.

    One panel uses each arm's own reward, the other a binary reward.
    """
    figure, grid = _canvas(2, 1, 4.2)
    titles = (
        ("no_signal", "Planning groups without signal"),
        ("no_signal_binary", "… with a binary reward"),
    )
    for axes, (name, title) in zip(grid[0], titles, strict=True):
        for arm, color, runs in _colored(results):
            read = _training_metric(PLANNING, name)
            lines = [_smooth(read(one), len(one.curve) // _SMOOTHING) for one in runs]
            _draw(axes, lines, color, arm)
        axes.set(title=title, xlabel="step", ylabel="share of groups", ylim=(0, 1.02))
    _legend(figure, grid[0][0])
    return _png(figure)


def reward_figure(results: Results) -> bytes:
    """Draw the mean reward per step, one panel per arm with its stages as bands; return PNG bytes.

    Every panel has its own scale: rewards with and without detail and difficulty do not compare.
    """
    arms = _colored(results)
    rows = -(-len(arms) // 3)
    figure, grid = _canvas(min(3, len(arms)), rows, 1 + 2.2 * rows)
    for axes, (arm, color, runs) in zip(grid.flat, arms, strict=False):
        _mark_stages(axes, runs[0])
        read = _training_metric(EVERY_TYPE, "score")
        _draw(axes, [_smooth(read(one), len(one.curve) // _SMOOTHING) for one in runs], color, arm)
        axes.set_title(arm, fontsize=10)
        axes.set(xlabel="step", ylabel="reward")
    for axes in list(grid.flat)[len(arms) :]:
        axes.set_visible(False)
    return _png(figure)


def gains_figure(found: Sequence[Gains]) -> bytes:
    """Draw the gains of each addition over the accuracy before training; return PNG bytes.

    One panel per addition, one color per condition, one point per group of trips, with 95 %
    intervals.
    """
    groups = [one for one in found if one.trips in TRIPS]
    conditions = list(dict.fromkeys(one.condition for one in groups))
    figure, grid = _canvas(len(GAINS), 1, 3.8, sharey=True)
    for axes, addition in zip(grid[0], GAINS, strict=True):
        axes.axhline(0, color=_COLORS[0], linewidth=0.8)
        for condition, color in zip(conditions, _COLORS[1:], strict=False):
            points = [
                (100 * one.before, one.differences[addition])
                for one in groups
                if one.condition == condition and addition in one.differences
            ]
            axes.errorbar(
                [start for start, _ in points],
                [100 * gain.mean for _, gain in points],
                [
                    [100 * (gain.mean - gain.low) for _, gain in points],
                    [100 * (gain.high - gain.mean) for _, gain in points],
                ],
                fmt="o",
                capsize=3,
                color=color,
                label=condition,
            )
        axes.set(title=f"+ {addition}", xlabel="right before training (%)")
    grid[0][0].set_ylabel("gain over the baseline (points)")
    _legend(figure, grid[0][0])
    return _png(figure)


def _mark_stages(axes: Any, result: Result) -> None:
    """Mark each stage as a band, named if there are several."""
    stages = [
        (stage, [one.step for one in points])
        for stage, points in groupby(result.curve, key=lambda one: one.stage)
    ]
    for number, (stage, steps) in enumerate(stages):
        axes.axvspan(steps[0] - 0.5, steps[-1] + 0.5, color=_BANDS[number % 2], linewidth=0)
        if len(stages) > 1:
            middle = (steps[0] + steps[-1]) / 2
            place = ("data", "axes fraction")
            axes.annotate(stage, (middle, 0.02), xycoords=place, ha="center", fontsize=7)
