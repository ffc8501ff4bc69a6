"""Charts of a report, as plotly figures; the page draws a chart when it scrolls into view."""

from __future__ import annotations

import html
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from rewardmap_verl.curriculum.groups import (
    DIRECT,
    EVERY_TYPE,
    WITH_TRANSFERS,
    Group,
    group_metrics,
    without_repeats,
)
from rewardmap_verl.reports.held_out import validation_rounds
from rewardmap_verl.reports.learning_curve import LearningCurve, learning_curves, visits
from rewardmap_verl.reports.runs import Run
from rewardmap_verl.rewards.config import RewardConfig

__all__ = ["Chart", "make_charts"]

Chart = dict[str, Any]
"""Title, note, and plotly's figure as JSON data."""

Points = list[tuple[int, float]]

_COLORS = ("#2a6fdb", "#d1495b", "#1b998b", "#e08e0b", "#7b4fbf", "#5c6770")
_PART_COLORS = {"format": "#7b8794", "correctness": "#2a6fdb", "detail": "#e08e0b"}
_TYPE_COLORS = {
    "TorF1": "#d1495b", "TorF2": "#e08e0b", "Counting1": "#7b4fbf", "Counting2": "#1b998b",
    "Counting3": "#7a9a01", "planning": "#2a6fdb", EVERY_TYPE: "#5c6770",
}  # fmt: skip
"""The color of a question type in every chart; others take those of ``_COLORS`` in turn."""
_DASHES = ("solid", "dash", "dot")
_PART_DASHES = {DIRECT: "dash", WITH_TRANSFERS: "dashdot"}
_SMOOTHED_FROM = 60
"""From this number of steps on, single steps are drawn faintly behind their running mean."""
_TYPE_SMOOTHED_FROM = 12
"""The same for the curve of a question type, which lies among others."""

_NARROWEST = 0.1
"""Minimum share of all steps for a stage's band to show its name."""


def make_charts(
    runs: Sequence[Run],
    configs: Sequence[RewardConfig] = (),
    majority: Mapping[int, float] | None = None,
) -> list[Chart]:
    """Return the charts of one run, or of several together; charts without points are omitted.

    Args:
        runs: The runs.
        configs: The reward's settings of each run; the defaults where there are none.
        majority: Of one run, whether the majority answer is correct, by row of the validation data.
    """
    settings = {run.name: config for run, config in zip(runs, configs, strict=False)}
    single = len(runs) == 1
    curves = learning_curves(runs[0].entries, majority) if single else []
    charts = [
        *([_held_out(runs[0], curves)] if single else []),
        _reward(runs, settings),
        *([_trained_accuracy(runs[0], curves)] if single else [_accuracy(runs)]),
        _chart(
            runs,
            "Parts of the reward",
            "Before α and W; detail is for planning only.",
            [(name, _recorded(name)) for name in ("format", "correctness", "detail")],
        ),
        _chart(
            runs,
            "Groups without signal",
            "Share of groups whose answers all have the same reward, and what it would be with "
            "correctness as the only reward.",
            [
                ("this reward", _recorded("no_signal")),
                ("correctness alone", _recorded("no_signal_binary")),
            ],
            percent=True,
        ),
        _by_type(
            runs, "Response length", "Tokens, mean over a step.", "length", "response_length/mean"
        ),
        _by_type(
            runs,
            "KL to the reference model",
            "Mean over the tokens of an answer, in nats.",
            "kl",
            "actor/kl_loss",
        ),
        _by_type(runs, "Entropy", "Of the policy, in nats per token.", "entropy", "actor/entropy"),
        _by_type(
            runs,
            "Unreadable answers",
            "Share of answers that could not be parsed.",
            "unreadable",
            percent=True,
        ),
        _chart(runs, "Gradient norm", "Before clipping.", [("norm", _logged("actor/grad_norm"))]),
    ]
    return [chart for chart in charts if chart["figure"]["data"]]


Series = tuple[str, Callable[[Run], Points]]


def maximum_reward(group: Group, config: RewardConfig) -> float:
    """Return the reward of a perfect answer to a group's question, by its recorded weight."""
    weight = next((one for one in group.scores.get("weight", ()) if one is not None), 1.0)
    has_detail = any(one is not None for one in group.scores.get("detail", ()))
    detail = config.detail_weight * config.detail_cap if has_detail else 0.0
    return weight * (config.format_value + config.correctness + detail)


def _reward(runs: Sequence[Run], settings: Mapping[str, RewardConfig]) -> Chart:
    """Chart the reward by question type, or of all types for several runs."""
    note = "As a share of the maximum reward of the questions; mean over a step's answers."
    if len(runs) > 1:
        return _chart(runs, "Reward", note, [("reward", _reward_share(settings))], percent=True)
    figure = go.Figure()
    for kind in _kinds(runs[0]):
        points = _reward_share(settings, kind)(runs[0])
        figure.add_traces(list(_type_lines(points, kind)))
    note += " A curve for each type, because stages with harder types have lower rewards."
    return _finished(figure, runs, "Reward by type", note, percent=True)


def _reward_share(
    settings: Mapping[str, RewardConfig], kind: str | None = None
) -> Callable[[Run], Points]:
    """Return a reader of each step's reward as a share of the maximum, of a type or of all."""

    def points(run: Run) -> Points:
        config = settings.get(run.name) or RewardConfig()
        shares = (
            (entry.step, list(_shares(entry.groups, config, kind)))
            for entry in run.entries
            if entry.part == "train"
        )
        return [(step, fmean(found)) for step, found in shares if found]

    return points


def _shares(groups: Sequence[Group], config: RewardConfig, kind: str | None) -> Iterator[float]:
    for group in without_repeats(groups):
        if kind not in (None, group.kind):
            continue
        highest = maximum_reward(group, config)
        for score in group.scores.get("score", ()):
            if score is not None and highest > 0:
                yield score / highest


def _recorded(name: str, kind: str | None = None) -> Callable[[Run], Points]:
    def points(run: Run) -> Points:
        return list(_trained(run, name, kind))

    return points


def _trained(run: Run, name: str, kind: str | None = None) -> Iterator[tuple[int, float]]:
    """Yield a metric of each step, of one question type or of all."""
    for entry in run.entries:
        if entry.part == "train":
            due = [g for g in without_repeats(entry.groups) if kind in (None, g.kind)]
            value = group_metrics(due).get(name)
            if value is not None:
                yield entry.step, value


def _logged(name: str) -> Callable[[Run], Points]:
    def points(run: Run) -> Points:
        return [(step, value) for step, value in run.curves.get(name, ()) if isfinite(value)]

    return points


def _validated(run: Run) -> Points:
    rounds = validation_rounds(run.entries).items()
    found = ((step, group_metrics(list(groups.values())).get("acc")) for step, groups in rounds)
    return sorted((step, value) for step, value in found if value is not None)


def _by_type(
    runs: Sequence[Run],
    title: str,
    note: str,
    name: str,
    logged: str = "",
    percent: bool = False,
) -> Chart:
    """Chart a metric by question type, or of all types for several runs.

    Args:
        runs: The runs.
        title: Title of the chart.
        note: Its explanation.
        name: Name of the metric in the record.
        logged: verl's name of the mean over all types, for runs whose record lacks the metric.
        percent: Whether the metric is a share.
    """
    kinds = sorted({g.kind for run in runs for e in run.entries for g in e.groups})
    series: list[Series] = [(kind, _recorded(name, kind)) for kind in kinds]
    if len(runs) > 1 or not any(read(runs[0]) for _, read in series):
        series = [(title.lower(), _recorded(name))]
    if logged and not any(read(run) for _, read in series for run in runs):
        series = [(title.lower(), _logged(logged))]
    if len(series) < 2:
        return _chart(runs, title, note, series, percent)
    figure = go.Figure()
    for kind, read in series:
        figure.add_traces(list(_type_lines(read(runs[0]), kind)))
    return _finished(figure, runs, title, note, percent)


def _chart(
    runs: Sequence[Run], title: str, note: str, series: Sequence[Series], percent: bool = False
) -> Chart:
    figure = go.Figure()
    for number, run in enumerate(runs):
        for place, (name, read) in enumerate(series):
            single = len(runs) == 1
            color = _PART_COLORS.get(name, _color(place)) if single else _color(number)
            label = _label(run, name if single or len(series) > 1 else "", single)
            dash = "solid" if single else _DASHES[place % len(_DASHES)]
            figure.add_traces(list(_lines(read(run), label, color, dash, _starts(run))))
    return _finished(figure, runs, title, note, percent)


def _accuracy(runs: Sequence[Run]) -> Chart:
    figure = go.Figure()
    for number, run in enumerate(runs):
        before = "" if len(runs) == 1 else f"{html.escape(run.name)}: "
        trained = list(_trained(run, "acc"))
        figure.add_traces(
            list(_lines(trained, f"{before}training", _color(number), "solid", _starts(run)))
        )
        held_out = _validated(run)
        if held_out:
            figure.add_trace(
                go.Scatter(
                    x=[step for step, _ in held_out],
                    y=[value for _, value in held_out],
                    name=f"{before}held-out maps",
                    mode="lines+markers",
                    line={"color": "#d1495b" if len(runs) == 1 else _color(number), "dash": "dot"},
                    marker={"size": 8, "symbol": "diamond"},
                )
            )
    note = "Share of right answers: in training on the questions of each step, in validation on "
    return _finished(figure, runs, "Accuracy", f"{note}held-out maps.", percent=True)


def _held_out(run: Run, curves: Sequence[LearningCurve]) -> Chart:
    """Chart the held-out accuracy of each type, with the majority answer as a dotted line."""
    figure = go.Figure()
    for curve in curves:
        steps = [step for step, _ in curve.points]
        line = {"color": _type_color(curve.name), "dash": _PART_DASHES.get(curve.name, "solid"),
                "width": 3 if curve.name == EVERY_TYPE else 2}  # fmt: skip
        figure.add_trace(
            go.Scatter(x=steps, y=[round(one.mean, 6) for _, one in curve.points], name=curve.name,
                       legendgroup=curve.name, mode="lines+markers", line=line)
        )  # fmt: skip
        if len(steps) > 1:
            figure.add_traces(list(_majority_line(curve, steps[0], steps[-1])))
    return _finished(figure, [run], "Held-out accuracy by type", _MAJORITY_NOTE, percent=True)


def _trained_accuracy(run: Run, curves: Sequence[LearningCurve]) -> Chart:
    """Chart the accuracy of each type in training, with the majority answer as a dotted line."""
    figure = go.Figure()
    known = {curve.name: curve for curve in curves}
    for kind in _kinds(run):
        points = list(_trained(run, "acc", kind))
        figure.add_traces(list(_type_lines(points, kind)))
        if kind in known and len(points) > 1:
            figure.add_traces(list(_majority_line(known[kind], points[0][0], points[-1][0])))
    note = f"Share of right answers to the questions of a step. {_MAJORITY_NOTE}"
    return _finished(figure, [run], "Accuracy in training by type", note, percent=True)


_MAJORITY_NOTE = (
    "Dotted: the most frequent answer of the training split. Click a name to hide a type."
)


def _majority_line(curve: LearningCurve, first: int, last: int) -> Iterator[go.Scatter]:
    """Yield the majority answer of a type as a line, if it is known."""
    if curve.majority is not None:
        line = {"color": _type_color(curve.name), "width": 1, "dash": "dot"}
        yield go.Scatter(x=[first, last], y=[curve.majority] * 2, hoverinfo="skip", mode="lines",
                         legendgroup=curve.name, showlegend=False, opacity=0.7,
                         line=line)  # fmt: skip


def _kinds(run: Run) -> list[str]:
    """Return the question types of a run in the order in which they were trained."""
    groups = (group for entry in run.entries if entry.part == "train" for group in entry.groups)
    return list(dict.fromkeys(group.kind for group in groups))


def _type_color(kind: str) -> str:
    whole = kind.partition(",")[0]
    return _TYPE_COLORS.get(whole) or _color(sum(map(ord, whole)))


def _type_lines(points: Points, kind: str) -> Iterator[go.Scatter]:
    """Yield the curve of a type, which does not start anew in every stage."""
    yield from _lines(points, kind, _type_color(kind), "solid", (), _TYPE_SMOOTHED_FROM)


def _label(run: Run, name: str, single: bool) -> str:
    """Return a trace's name; plotly interprets tags, so the name of a folder is escaped."""
    return name if single else ": ".join(filter(None, (html.escape(run.name), name)))


def _starts(run: Run) -> list[int]:
    return [first for _, first, _ in visits(run.entries)]


def _color(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _lines(
    points: Points,
    name: str,
    color: str,
    dash: str,
    starts: Sequence[int],
    smoothed_from: int = _SMOOTHED_FROM,
) -> Iterator[go.Scatter]:
    if not points:
        return
    steps, values = [step for step, _ in points], [round(value, 6) for _, value in points]
    line = {"color": color, "dash": dash, "width": 2}
    if len(points) < smoothed_from:
        yield go.Scatter(x=steps, y=values, name=name, mode="lines+markers", line=line,
                         marker={"size": 4})  # fmt: skip
        return
    yield go.Scatter(
        x=steps, y=values, name=name, mode="lines", line={**line, "width": 1}, opacity=0.3,
        showlegend=False, legendgroup=name, hoverinfo="skip",
    )  # fmt: skip
    smooth = _running_mean(points, max(3, len(values) // 40), starts)
    yield go.Scatter(x=steps, y=smooth, name=name, mode="lines", line=line, legendgroup=name)


def _running_mean(points: Points, reach: int, starts: Sequence[int]) -> list[float]:
    """Return the mean of the values around each point, within its stage."""
    means = []
    for i, (step, _) in enumerate(points):
        around = points[max(0, i - reach) : i + reach + 1]
        stage = bisect(starts, step)
        near = [value for other, value in around if bisect(starts, other) == stage]
        means.append(round(sum(near) / len(near), 6))
    return means


def _finished(
    figure: go.Figure, runs: Sequence[Run], title: str, note: str, percent: bool = False
) -> Chart:
    figure.update_layout(
        template="none",
        margin={"l": 48, "r": 12, "t": 28, "b": 28},
        xaxis={
            "tickprefix": "step ",
            "showtickprefix": "last",
            "rangemode": "tozero",
            "zeroline": False,
        },
        yaxis={"tickformat": ".0%" if percent else None, "rangemode": "tozero", "zeroline": False},
        legend={"orientation": "h", "y": -0.14, "yanchor": "top", "x": 0},
        hovermode="x unified",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        shapes=list(_stage_marks(runs)),
        annotations=list(_stage_names(runs)),
        showlegend=len(figure.data) > 1,
    )
    return {"title": title, "note": note, "figure": figure.to_plotly_json()}


def _stage_marks(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Yield bands if all runs have the same stages, else a line at every change of stage."""
    stages = [visits(run.entries) for run in runs]
    if all(one == stages[0] for one in stages):
        for number, (_, first, last) in enumerate(stages[0]):
            yield {
                "type": "rect", "xref": "x", "yref": "paper", "layer": "below",
                "x0": first - 0.5, "x1": last + 0.5, "y0": 0, "y1": 1,
                "line": {"width": 0}, "fillcolor": "#8a94a6", "opacity": 0.06 + 0.10 * (number % 2),
            }  # fmt: skip
        return
    for number, mine in enumerate(stages):
        for _, first, _ in mine:
            yield {
                "type": "line", "xref": "x", "yref": "paper", "layer": "below",
                "x0": first - 0.5, "x1": first - 0.5, "y0": 0, "y1": 1,
                "line": {"width": 1, "dash": "dot", "color": _color(number)},
            }  # fmt: skip


def _stage_names(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """Yield names above the bands that are wide enough; none if the runs' stages differ."""
    stages = [visits(run.entries) for run in runs]
    if any(one != stages[0] for one in stages) or not stages[0]:
        return
    steps = stages[0][-1][2]
    for stage, first, last in stages[0]:
        if last - first + 1 >= _NARROWEST * steps:
            yield {
                "x": (first + last) / 2, "xref": "x", "y": 1, "yref": "paper", "yanchor": "bottom",
                "text": html.escape(stage), "showarrow": False, "font": {"size": 11},
            }  # fmt: skip
